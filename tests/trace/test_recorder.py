"""Events are recorded in the background without delaying turns."""

import json
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.runtime.events import (
    Event,
    ExternalMessages,
    MessageSaved,
    TextDelta,
    ToolCallEnded,
    ToolCallStarted,
    TurnStarted,
)
from prompt_objects.sessions.info import new_id
from prompt_objects.sessions.session import trace_file
from prompt_objects.trace.log import MAX_WAITING_EVENTS, Recorder, read_records
from tests.support.file_store import no_file_beyond
from tests.support.paths import ROOT
from tests.support.traces import notice

KEY = "01a1fdf8-7354-7733-a202-76d341643c8d"
ABOUT: Any = {"run": "r", "root": "r", "path": ("boss", "scout"), "session_id": KEY, "parent": "p"}


def lines_of(folder: Path, key: str = KEY) -> list[dict[str, Any]]:
    return [json.loads(line) for line in trace_file(folder, key).read_bytes().splitlines()]


def texts(folder: Path, key: str = KEY) -> list[str]:
    return [entry.text for entry in read_records(trace_file(folder, key))]


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def recorder(tmp_path: Path, notices: list[str]) -> Recorder:
    return Recorder(tmp_path, notices.append)


def test_every_event_except_text_deltas_is_a_line_in_the_file_of_its_session(
    recorder: Recorder, tmp_path: Path
) -> None:
    other = new_id()
    for event in (
        TurnStarted(**ABOUT, call_id="c"),
        TextDelta(**ABOUT, text="words"),
        notice(other),
        notice(KEY, "Take care."),
    ):
        recorder.put(event)
    recorder.flush()
    first, second = lines_of(tmp_path)
    assert (first["event"], first["run"], first["parent"], first["path"], first["call_id"]) == (
        "TurnStarted",
        "r",
        "p",
        ["boss", "scout"],
        "c",
    )
    assert (second["event"], second["text"]) == ("Notice", "Take care.")
    assert texts(tmp_path, other) == ["!"]


def test_only_the_owner_can_read_trace_files(recorder: Recorder, tmp_path: Path) -> None:
    recorder.put(notice(KEY))
    recorder.flush()
    path = trace_file(tmp_path, KEY)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_contents_of_messages_are_not_recorded(recorder: Recorder, tmp_path: Path) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"at": "SECRET"}'}}
    message = {"role": "assistant", "content": "SECRET", "tool_calls": [call], "usage": {"cost": 2.0}, "model": "m"}
    for event in (
        MessageSaved(**ABOUT, message=message),
        ExternalMessages(**ABOUT, messages=[{"role": "user", "content": "SECRET"}]),
        ToolCallStarted(**ABOUT, call_id="c", name="look", arguments='{"at": "SECRET"}'),
        ToolCallEnded(**ABOUT, call_id="c", name="look", result="SECRET", failed=False, seconds=1.5),
    ):
        recorder.put(event)
    recorder.flush()
    assert b"SECRET" not in trace_file(tmp_path, KEY).read_bytes()
    saved, _, started, ended = lines_of(tmp_path)
    assert saved["message"]["calls"] == [{"id": "c", "name": "look"}]
    assert (saved["message"]["size"], saved["message"]["usage"], saved["message"]["model"]) == (6, {"cost": 2.0}, "m")
    assert (started["size"], ended["size"], ended["seconds"]) == (16, 6, 1.5)


def test_unknown_kinds_of_events_are_recorded(recorder: Recorder, tmp_path: Path) -> None:
    class Steered(Event, frozen=True, kw_only=True):
        where: Path
        half: str

    recorder.put(Steered(**ABOUT, where=Path("there"), half="\ud800"))
    recorder.put(notice(KEY, "after"))
    recorder.flush()
    assert [(line["event"], line.get("where")) for line in lines_of(tmp_path)] == [
        ("Steered", "there"),
        ("Notice", None),
    ]


def test_an_invalid_session_id_is_ignored(recorder: Recorder, tmp_path: Path) -> None:
    recorder.put(notice("../../precious"))
    recorder.put(notice(KEY))
    recorder.flush()
    assert [path.name for path in tmp_path.rglob("*.jsonl")] == [f"{KEY}.jsonl"]


def test_an_incomplete_line_is_skipped_and_hides_no_other(recorder: Recorder, tmp_path: Path) -> None:
    for text in ("one", "two"):
        recorder.put(notice(KEY, text))
    recorder.flush()
    path = trace_file(tmp_path, KEY)
    data = path.read_bytes()
    first = data.index(b"\n") + 1
    for end in range(first, len(data)):
        path.write_bytes(data[:end])
        recorder.put(notice(KEY, "three"))
        recorder.flush()
        expected = ["one", "two", "three"] if end == len(data) - 1 else ["one", "three"]
        assert texts(tmp_path) == expected


def test_invalid_lines_are_skipped(recorder: Recorder, tmp_path: Path) -> None:
    recorder.put(notice(KEY))
    recorder.flush()
    path = trace_file(tmp_path, KEY)
    good = path.read_bytes()
    bad = [
        b"null",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"event":"Notice","run":"r","at":"2026-01-01T00:00:00","text":"without a zone"}',
        b'{"event":"Notice","run":"r","at":"0001-01-01T00:00:00Z","text":"at the end of time"}',
        b'{"event":"Notice","run":"r","at":"2026-01-01T00:00:00Z","text":7}',
    ]
    path.write_bytes(good + b"\n".join(bad) + b"\n" + good)
    assert texts(tmp_path) == ["!", "!"]


def test_a_full_disk_gives_one_notice_and_later_events_are_recorded(
    recorder: Recorder, notices: list[str], tmp_path: Path
) -> None:
    with no_file_beyond(1000):
        for number in range(30):
            recorder.put(notice(KEY, str(number)))
            recorder.flush()
    recorder.put(notice(KEY, "later"))
    recorder.flush()
    (problem,) = notices
    assert problem.startswith("Traces are not recorded: ")
    assert texts(tmp_path)[:3] == ["0", "1", "2"]
    assert texts(tmp_path)[-1] == "later"
    assert len(texts(tmp_path)) < 20


@pytest.mark.skipif(sys.platform != "linux", reason="opens a pipe for reading and writing")
def test_a_disk_that_hangs_blocks_nothing(recorder: Recorder, notices: list[str], tmp_path: Path) -> None:
    path = trace_file(tmp_path, KEY)
    path.parent.mkdir()
    os.mkfifo(path)
    for _ in range(1000):
        recorder.put(notice(KEY, "x" * 1000))  # far more than fits into a pipe
    start = time.perf_counter()
    for _ in range(MAX_WAITING_EVENTS):
        recorder.put(notice(KEY))
    assert time.perf_counter() - start < 5
    start = time.perf_counter()
    recorder.flush(0.1)
    assert 0.1 <= time.perf_counter() - start < 5
    assert notices == ["Some events are missing in traces: the disk is too slow."]
    _drain(path, recorder)


def _drain(path: Path, recorder: Recorder) -> None:
    """Read the pipe until the thread has written everything."""
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    end = time.monotonic() + 20
    while _waits(recorder) and time.monotonic() < end:
        try:
            while os.read(pipe, 1_000_000):
                pass
        except BlockingIOError:
            time.sleep(0.001)
    os.close(pipe)
    assert not _waits(recorder)


def _waits(recorder: Recorder) -> bool:
    start = time.perf_counter()
    recorder.flush(0.001)
    return time.perf_counter() - start >= 0.001


def test_the_thread_ends_when_idle_and_starts_again(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prompt_objects.trace.log.IDLE_SECONDS", 0.01)
    for number in range(3):
        recorder.put(notice(KEY, str(number)))
        recorder.flush()
        end = time.monotonic() + 10
        while any(thread.name == "trace" for thread in threading.enumerate()) and time.monotonic() < end:
            time.sleep(0.005)
    assert not any(thread.name == "trace" for thread in threading.enumerate())
    assert texts(tmp_path) == ["0", "1", "2"]


FORKING = """
import os, sys, threading
from pathlib import Path
from tests.support.traces import notice
from prompt_objects.trace.log import Recorder
recorder, key = Recorder(Path(sys.argv[1]), print), sys.argv[2]
recorder.put(notice(key, "before"))
recorder.flush()
child = os.fork()
recorder.put(notice(key, "after" if child else "child"))
recorder.flush()
if child:
    assert os.waitpid(child, 0)[1] == 0
os._exit(0)
"""


ENDING = """
import sys
from pathlib import Path
from tests.support.traces import notice
from prompt_objects.trace.log import Recorder
recorder = Recorder(Path(sys.argv[1]), print)
for number in range(3000):
    recorder.put(notice(sys.argv[2], str(number)))
"""


def test_the_last_events_are_recorded_when_the_program_ends(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", ENDING, str(tmp_path), KEY], cwd=ROOT, check=True, timeout=60)
    assert texts(tmp_path) == [str(number) for number in range(3000)]


def test_a_forked_child_records_its_own_events(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING, str(tmp_path), KEY], cwd=ROOT, check=True, timeout=60
    )
    assert sorted(texts(tmp_path)) == ["after", "before", "child"]
