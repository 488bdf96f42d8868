import io
import sys
from typing import Any

import pytest

from prompt_objects.cli.streams import print_err
from prompt_objects.runtime.events import (
    ExternalMessages,
    Notice,
    TextDelta,
    ToolCallEnded,
    ToolCallStarted,
    TurnStarted,
)
from prompt_objects.ui.render.events import WIDTH, progress_line

ABOUT: Any = {"run": "r", "root": "r", "path": ("guide",), "session_id": "s"}


def test_calls_and_notices_have_one_line_each_and_other_events_none() -> None:
    events = [
        TurnStarted(**ABOUT),
        ExternalMessages(**ABOUT, messages=[{"role": "user", "content": "Hello"}]),
        TextDelta(**ABOUT, text="words"),
        ToolCallStarted(**ABOUT, call_id="1", name="reader", arguments='{"message": "What\\nis it?"}'),
        ToolCallEnded(**ABOUT, call_id="1", name="reader", result="x" * 1200, failed=False, seconds=2),
        ToolCallStarted(**ABOUT, call_id="2", name="read_file", arguments="\x1b[2J" * 100),
        ToolCallEnded(**ABOUT, call_id="2", name="read_file", result="Error: none\nsuch", failed=True, seconds=0),
        Notice(**ABOUT, text="Take care."),
    ]
    assert [line for event in events if (line := progress_line(event))] == [
        "! 1 new message from another process",
        'guide → reader message="What\\nis it?"',
        "  ✓ reader: 1.2 kB, 2.0 s",
        "guide → read_file",
        "  ✗ read_file: none such",
        "! Take care.",
    ]


def test_the_name_of_a_call_is_cleaned_and_cut() -> None:
    line = progress_line(
        ToolCallEnded(
            **ABOUT,
            call_id="1",
            name="x\x1b]0;pwned\x07\x1b[2J\n" + "y" * 200,
            result="Error: no",
            failed=True,
            seconds=0,
        )
    )
    assert line.startswith("  ✗ x yyy")
    assert line.endswith("…: no")
    assert len(line) <= WIDTH


def test_a_closed_standard_error_is_ignored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    print_err("! Take care.")
    assert capsys.readouterr().out == ""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_full_device_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    full = open("/dev/full", "w", buffering=1)  # noqa: PTH123, SIM115 - closing it fails, as it should
    monkeypatch.setattr(sys, "stderr", full)
    print_err("! Take care.")
    with pytest.raises(OSError, match="No space"):
        full.close()
