"""Events as single lines, cleaned and cut."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.config.limits import Limits
from prompt_objects.runtime.budget import Spending
from prompt_objects.runtime.events import (
    BudgetUpdated,
    Event,
    ExternalMessages,
    MessageSaved,
    Notice,
    TextDelta,
    ToolCallEnded,
    ToolCallStarted,
    TurnEnded,
    TurnStarted,
)
from prompt_objects.ui.render.events import headline
from prompt_objects.ui.render.style import plain

MOMENT = datetime(2026, 3, 1, 12, 0, 5).astimezone()
ABOUT: Any = {"run": "r", "root": "r", "path": ("guide", "reader"), "session_id": "0197", "at": MOMENT}


class Unknown(Event, frozen=True, kw_only=True):
    """An unknown kind of event."""

    what: Path = Path()


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (TurnStarted(**ABOUT), "started in 0197"),
        (MessageSaved(**ABOUT, message={"role": "user", "content": "Hello\nthere"}), "saved: user: Hello there"),
        (ExternalMessages(**ABOUT, messages=[{}, {}]), "2 new messages from another process"),
        (ToolCallStarted(**ABOUT, call_id="1", name="look", arguments='{"at": 1}'), 'calls look {"at": 1}'),
        (
            ToolCallEnded(**ABOUT, call_id="1", name="look", result="seen", failed=False, seconds=2),
            "look ended in 2.0 s: seen",
        ),
        (
            ToolCallEnded(**ABOUT, call_id="1", name="look", result="dark", failed=True, seconds=0),
            "look failed in 0 ms: dark",
        ),
        (Notice(**ABOUT, text="Take care."), "! Take care."),
        (
            BudgetUpdated(**ABOUT, amount=Spending(1, 2000), seconds=1, limits=Limits()),
            "used so far: 1 request, 2,000 tokens",
        ),
        (TurnEnded(**ABOUT, outcome="answered"), "answered"),
        (TurnEnded(**ABOUT, outcome="failed", error="No network."), "failed: No network."),
        (Unknown(**ABOUT), "Unknown"),
    ],
)
def test_an_event_is_one_line_with_its_time_and_its_path(event: Event, text: str) -> None:
    assert plain(headline(event, 80)) == f"12:00:05 guide → reader: {text}"


def test_streamed_text_has_no_line() -> None:
    assert headline(TextDelta(**ABOUT, text="word"), 80) == []


def test_names_and_texts_are_cleaned_and_fit_on_one_line() -> None:
    hostile = "\x1b[2J\r\n" * 50
    notice = Notice(**{**ABOUT, "path": (hostile, "po")}, text=hostile)
    line = plain(headline(notice, 40))
    assert not set(line) & set("\x1b\r\n")
    assert len(line) <= 40
