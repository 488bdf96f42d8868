"""A power failure in the midst of a write, a disk that refuses, a clock that is wrong: nothing is lost."""

import ast
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest
from inspection import check_files
from torn import sector_states, torn_states

from prompt_objects.message import Message
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.files import FileStore

HERE = Path(__file__).parent


def call(script: str, *arguments: str, seconds: int) -> str:
    """Run one of the scripts here; what it prints at last are its totals."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), *arguments], capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EROFS"])
def test_whatever_the_disk_refuses_in_a_turn_nothing_acknowledged_is_lost(tmp_path: Path, error: str) -> None:
    (tmp_path / "objects").mkdir()
    scout = "name: scout\ncapabilities: [list_files]\nprompt: You look.\n"
    (tmp_path / "objects" / "scout.yaml").write_text(scout)
    assert "nothing lost" in call("refusing.py", str(tmp_path), error, seconds=120)


def said(*texts: str) -> list[Message]:
    return [{"role": "user", "content": text, "at": "2026-01-01T00:00:00.000000Z"} for text in texts]


class Write:
    """The last write to a session: what was acknowledged before it, and the file before and after."""

    def __init__(self, folder: Path, last: str) -> None:
        self.folder = folder
        with closing(FileStore(folder)) as store:
            session = SessionManager(store, "reader").create("Notes")
            session.append(*said("one", "two \u2028 \ud800", "three"))
            self.acknowledged = list(session.history)
            self.id = session.id
            self.file = folder / "sessions" / f"{session.id}.json"
            self.before = self.file.read_bytes()
            session.append(*said(last))
            self.whole = list(session.history)
            self.after = self.file.read_bytes()

    def look(self, state: bytes) -> None:
        """See that nothing acknowledged is lost in a state of the file, and that it goes on from there."""
        self.file.write_bytes(state)
        with closing(FileStore(self.folder)) as store:
            found = store.read(self.id, 0, 10)
            assert found in (self.acknowledged, self.whole), state
            store.append(self.id, said("more"), expected=len(found))
            store.examine(repair=True)
            assert store.examine() == []
            assert store.read(self.id, 0, 10) == [*found, *said("more")]
        check_files(self.folder)


@pytest.mark.parametrize(
    "scale", [pytest.param(37, id="a few"), pytest.param(1, id="all", marks=pytest.mark.campaign)]
)
def test_a_write_that_came_through_up_to_any_byte_costs_nothing_acknowledged(tmp_path: Path, scale: int) -> None:
    write = Write(tmp_path, "a message of some length, with ü and \u2028 in it")
    for state in islice(torn_states(write.before, write.after), 0, None, scale):
        write.look(state)


@pytest.mark.parametrize(
    "scale", [pytest.param(7, id="a few"), pytest.param(1, id="all", marks=pytest.mark.campaign)]
)
def test_a_write_of_which_any_sectors_came_through_costs_nothing_acknowledged(tmp_path: Path, scale: int) -> None:
    write = Write(tmp_path, "0123456789abcdef" * 180)
    for state in islice(sector_states(write.before, write.after), 0, None, scale):
        write.look(state)


@pytest.mark.parametrize(
    "index",
    [
        lambda old, _: old,
        lambda _, new: new,
        lambda _, new: b"\0" * len(new),
        lambda *_: b"",
        lambda old, _: old[:50],
    ],
    ids=["older", "newer", "zeros", "empty", "cut off"],
)
def test_an_index_of_any_age_after_a_power_failure_is_put_right(
    tmp_path: Path, index: Callable[[bytes, bytes], bytes]
) -> None:
    with closing(FileStore(tmp_path)) as store:
        manager = SessionManager(store, "reader")
        first = manager.create("First")
        old = (tmp_path / "sessions" / "index.json").read_bytes()
        second = manager.create("Second")
        first.append(*said("one"))
        manager.rename(first.id, "Renamed")
    path = tmp_path / "sessions" / "index.json"
    new = path.read_bytes()
    path.write_bytes(index(old, new))
    note = path.with_name("index.json.lock")
    note.write_bytes(note.read_bytes().replace(b'"boot":"', b'"boot":"another '))  # the machine was started anew
    with closing(FileStore(tmp_path)) as store:
        assert {info.id for info in store.sessions()} == {first.id, second.id}
        assert store.load(first.id).info.name == "Renamed"
        store.examine(repair=True)
        assert store.examine() == []
    check_files(tmp_path)


def test_listing_opens_no_history(tmp_path: Path) -> None:
    """Seen by what the program asks of the system, in a process of its own."""
    with closing(FileStore(tmp_path)) as store:
        for number in range(20):
            SessionManager(store, "reader").create(f"Notes {number}").append(*said("x"))
    script = f"""
import sys
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
from prompt_objects.sessions.stores.files import FileStore
from pathlib import Path
store = FileStore(Path({str(tmp_path)!r}))
assert len(store.sessions()) == 20 and len(store.sessions(limit=5)) == 5
print([path for path in opened if {str(tmp_path)!r} in path])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "index.json" in done.stdout
    assert "0" not in {Path(path).name[:1] for path in ast.literal_eval(done.stdout)}


def test_a_clock_that_goes_backwards_loses_and_disorders_nothing(tmp_path: Path) -> None:
    script = f"""
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from prompt_objects import message
steps = count()
message.now = lambda: datetime(2030, 1, 1, tzinfo=UTC) - timedelta(seconds=7 * next(steps))
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.files import FileStore
store = FileStore(Path({str(tmp_path)!r}))
sessions = [SessionManager(store, "reader").create(f"Notes {{number}}") for number in range(8)]
for number in range(80):
    sessions[number % 8].append({{"role": "user", "content": str(number)}})
assert store.sessions(limit=3) == store.sessions()[:3]
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    with closing(FileStore(tmp_path)) as store:
        infos = store.sessions()
        assert len(infos) == 8
        assert store.sessions(limit=3) == infos[:3]
        for info in infos:
            contents = [int(message["content"]) for message in store.read(info.id, 0, 99)]
            assert contents == sorted(contents)
            assert len(contents) == 10
        assert store.examine() == []
    check_files(tmp_path)
