"""The index keeps its entries in order of use, however clocks go, and is trusted for good reason."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from prompt_objects.sessions.info import ParentCall, SessionInfo, new_id
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.file.index import Index
from prompt_objects.sessions.stores.file.store import FileStore
from tests.support.file_store import file_store_with_notices, names_in
from tests.support.index_entries import BEGAN, check, fill, in_order, made


class Truth:
    """The expected entries, and two handles of one index that are used alternately.

    Entries are long, so that a few of them take as much space as hundreds otherwise.
    """

    def __init__(self, folder: Path, count: int, length: int = 4000) -> None:
        self.user_id = "x" * length
        self.infos = {info.id: info for info in (made(number, number, self.user_id) for number in range(count))}
        self.clock = float(count)
        self.indexes = [Index(folder / "index.json", self) for _ in range(2)]
        self.path = folder / "index.json"
        self.made = count

    def ids(self) -> set[str]:
        return set(self.infos)

    def read_infos(self, ids: Iterable[str]) -> Iterator[SessionInfo]:
        return (self.infos[key] for key in ids)

    def corrected(self, entry: SessionInfo, *, by_time: bool) -> None:
        """Return None: only the index changes the entries."""

    def note_quarantine(self, kept: Path) -> None:
        """Do nothing: nobody reads it."""

    def note_corrections(self, corrections: object) -> None:
        """Do nothing: there are none."""

    def put(self, index: Index, info: SessionInfo) -> None:
        self.infos[info.id] = info
        with index:
            index.put(info)

    def nth(self, number: int) -> SessionInfo:
        """Return the session that is `number` places after the newest."""
        found = in_order(self.infos.values())
        return found[number % len(found)]

    def use(self, index: Index, number: int, seconds: float) -> None:
        self.clock = max(self.clock + seconds, 0)
        self.put(index, replace(self.nth(number), updated_at=BEGAN + timedelta(seconds=self.clock)))

    def add(self, index: Index, number: int, seconds: float) -> None:
        self.made += 1
        self.put(index, made(self.made, max(self.clock + seconds, 0), self.user_id))

    def outgrow(self, index: Index, number: int, seconds: float) -> None:
        self.put(index, replace(self.nth(number), name=self.nth(number).name + "x" * 70))

    def remove(self, index: Index, number: int, seconds: float) -> None:
        if len(self.infos) > 1:
            gone = self.nth(number)
            with index:
                index.mark_dirty(gone.id)
                del self.infos[gone.id]
                with index.committing():
                    index.remove(gone.id)

    def die(self, index: Index, number: int, seconds: float) -> None:
        """End after the note that an entry changes, without changing it."""
        self.clock += abs(seconds)
        with index:
            index.mark_dirty(self.nth(number).id)
            self.infos[self.nth(number).id] = replace(
                self.nth(number), updated_at=BEGAN + timedelta(seconds=self.clock)
            )
        index.close()

    def look(self, index: Index, number: int, seconds: float) -> None:
        expected = in_order(self.infos.values())
        with index:
            assert index.newest(number % 20) == expected[: number % 20]
        entries = json.loads(self.path.read_bytes())["sessions"]
        assert {entry["id"] for entry in entries} == set(self.infos)
        assert len(entries) == len(self.infos)


OPERATIONS: list[Callable[[Truth, Index, int, float], None]] = [
    *[Truth.use] * 4,
    Truth.add,
    Truth.outgrow,
    Truth.remove,
    Truth.die,
    Truth.look,
]


steps = st.tuples(
    st.sampled_from(OPERATIONS),
    st.integers(0, 1),
    st.one_of(st.integers(0, 12), st.integers(0, 60)),
    st.sampled_from([1, 1, 1, 0, 0.5, -0.5, -3, -50]),
    st.sampled_from([1, 1, 1, 30]),
)


@settings(deadline=None, max_examples=100)
@given(operations=st.lists(steps, max_size=25))
def test_the_most_recently_changed_always_come_first(operations: list[tuple[object, int, int, float, int]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        truth = Truth(Path(name), 60)
        truth.look(truth.indexes[0], 1, 0)
        for operation, which, number, seconds, times in operations:
            for _ in range(times if operation in (Truth.use, Truth.add) else 1):
                operation(truth, truth.indexes[which], number, seconds)  # type: ignore[operator]
        for index in truth.indexes:
            truth.look(index, 11, 0)
            with index:
                assert index.entries() == in_order(truth.infos.values())
            index.close()


class TestOrder:
    @pytest.mark.parametrize("seconds", [-50, 0], ids=["older", "of the same time"])
    def test_an_entry_that_comes_with_an_old_time_has_its_place(self, tmp_path: Path, seconds: float) -> None:
        truth = Truth(tmp_path, 60)
        truth.look(truth.indexes[0], 1, 0)
        for _ in range(60):  # far enough that the first entries are not read
            truth.add(truth.indexes[0], 0, seconds)
        for number in (1, 5, 11):
            truth.look(truth.indexes[1], number, 0)

    def test_entries_that_are_set_back_in_their_places_are_listed_in_others(self, tmp_path: Path) -> None:
        truth = Truth(tmp_path, 60)
        index = truth.indexes[0]
        truth.look(index, 1, 0)
        for _ in range(60):
            truth.add(index, 0, 1)
            truth.use(index, 0, 0)
            truth.put(index, replace(truth.nth(0), updated_at=BEGAN))
        for number in (1, 5, 11):
            truth.look(truth.indexes[1], number, 0)

    def test_an_entry_ahead_of_older_ones_is_found(self, tmp_path: Path) -> None:
        truth = Truth(tmp_path, 60)
        truth.look(truth.indexes[0], 1, 0)
        for others in range(1, 16):
            truth.use(truth.indexes[0], 7, 1)  # which is near enough to the end to stay in its place
            for _ in range(others):
                truth.add(truth.indexes[0], 0, 1)
            for number in range(20):
                truth.look(truth.indexes[1], number, 0)

    def test_clocks_that_go_a_little_wrong_cost_nothing(self, tmp_path: Path) -> None:
        truth = Truth(tmp_path, 60)
        truth.look(truth.indexes[0], 1, 0)
        inode = truth.path.stat().st_ino
        for number in range(60):
            truth.add(truth.indexes[number % 2], 0, number - 1.5 * (number % 2))
            truth.look(truth.indexes[0], 5, 0)
        assert truth.path.stat().st_ino == inode

    def test_an_entry_that_another_program_moved_is_found_again(self, tmp_path: Path) -> None:
        truth = Truth(tmp_path, 60)
        truth.look(truth.indexes[0], 1, 0)
        for _ in range(5):
            for index in truth.indexes:
                truth.use(index, 59, 1)
                last = truth.nth(0)
                for _ in range(10):
                    truth.use(truth.indexes[0], 59, 1)
                truth.put(index, replace(last, message_count=last.message_count + 1))
                truth.look(index, 11, 0)

    def test_sessions_that_are_used_in_turn_do_not_let_the_index_grow(self, tmp_path: Path) -> None:
        truth = Truth(tmp_path, 60)
        index = truth.indexes[0]
        truth.look(index, 1, 0)
        size, inode = truth.path.stat().st_size, truth.path.stat().st_ino
        for _ in range(200):
            truth.use(index, 59, 1)
            assert truth.path.stat().st_size < 2.1 * size
        assert truth.path.stat().st_ino != inode
        truth.look(truth.indexes[1], 11, 0)

    def test_a_few_of_many_are_found_without_reading_all(self, tmp_path: Path) -> None:
        truth = Truth(tmp_path, 30_000, length=1)
        with truth.indexes[0]:
            assert len(truth.indexes[0].entries()) == 30_000
        began = time.perf_counter()
        with truth.indexes[1]:
            newest = truth.indexes[1].newest(50)
        took = time.perf_counter() - began
        began = time.perf_counter()
        with truth.indexes[1]:
            assert truth.indexes[1].entries()[:50] == newest
        assert took < (time.perf_counter() - began) / 4


class TestTrust:
    def test_a_program_that_starts_takes_the_index_as_it_is_after_any_use(self, tmp_path: Path) -> None:
        fill(tmp_path, 5)
        with closing(FileStore(tmp_path)) as store:
            manager = SessionManager(store, "reader")
            for work in (
                store.list,
                lambda: manager.create("Made"),
                lambda: manager.get("Made").append({"role": "user", "content": "x"}),
                lambda: manager.rename("Made", "Made again " + "x" * 60),
                lambda: manager.delete("Notes 1"),
                manager.restore,
                lambda: store.update(manager.get("Notes 2").id, metadata={"a": 1}),
            ):
                work()
                assert folders_read_by_listing(tmp_path) == 0
        shutil.copy(tmp_path / "sessions" / "index.json", tmp_path / "sessions" / "copy")
        assert folders_read_by_listing(tmp_path) == 1

    def test_an_added_file_is_listed_also_by_an_open_store(self, tmp_path: Path) -> None:
        infos = fill(tmp_path / "from", 3)
        fill(tmp_path / "to", 3)
        with closing(FileStore(tmp_path / "to")) as store:
            assert len(store.list()) == 3
            time.sleep(0.02)  # the modification time of the folder has a coarse resolution
            shutil.copy(tmp_path / "from" / "sessions" / f"{infos[0].id}.json", tmp_path / "to" / "sessions")
            assert infos[0] in store.list()
        assert infos[0] in check(tmp_path / "to")

    def test_after_a_reboot_all_files_are_compared(self, tmp_path: Path) -> None:
        fill(tmp_path, 5)
        assert len(names_in(tmp_path)) == 5
        index, lock = (tmp_path / "sessions" / name for name in ("index.json", "index.json.lock"))
        lines = index.read_bytes().split(b"\n")
        lines[3] = b" " * len(lines[3])  # it may not have reached the disk before the power failure
        with index.open("r+b") as file:
            file.write(b"\n".join(lines))
        assert len(names_in(tmp_path)) == 4  # the change cannot be detected
        note = json.loads(lock.read_bytes())
        lock.write_text(json.dumps({**note, "boot": "another"}).ljust(256))
        assert len(names_in(tmp_path)) == 5
        assert len(check(tmp_path)) == 5

    def test_an_added_file_is_listed_although_newer_ones_follow(self, tmp_path: Path) -> None:
        infos = fill(tmp_path / "from", 3)
        fill(tmp_path / "to", 3)
        folder = tmp_path / "to" / "sessions"
        with closing(FileStore(tmp_path / "to")) as store:
            kept = store.list()[0]
            time.sleep(0.02)
            shutil.copy(tmp_path / "from" / "sessions" / f"{infos[0].id}.json", folder)
            store.delete(kept.id)
            assert infos[0] in check(tmp_path / "to")

    def test_a_duplicate_entry_is_listed_once(self, tmp_path: Path) -> None:
        fill(tmp_path, 5)
        assert len(check(tmp_path)) == 5
        index = tmp_path / "sessions" / "index.json"
        lines = index.read_bytes().split(b"\n")
        index.write_bytes(b"\n".join([*lines[:-2], lines[2], *lines[-2:]]))
        assert len(names_in(tmp_path)) == 5
        assert len(check(tmp_path)) == 5

    @pytest.mark.parametrize("note", [b"", b"\0" * 256, b"{", b"[]", b'{"doubted":3}'.ljust(256)])
    def test_a_lost_or_damaged_mark_is_written_again(self, tmp_path: Path, note: bytes) -> None:
        fill(tmp_path, 3)
        assert len(check(tmp_path)) == 3
        (tmp_path / "sessions" / "index.json.lock").write_bytes(note)
        assert folders_read_by_listing(tmp_path) == 1
        assert folders_read_by_listing(tmp_path) == 0

    def test_a_file_that_cannot_be_read_is_named_by_every_program(self, tmp_path: Path) -> None:
        fill(tmp_path, 2)
        (tmp_path / "sessions" / f"{new_id()}.json").mkdir()
        for _ in range(2):
            store, notices = file_store_with_notices(tmp_path)
            with closing(store):
                assert len(store.list()) == len(store.list()) == 2
                assert len(notices) == 1


def folders_read_by_listing(folder: Path) -> int:
    code = (
        "import sys; from pathlib import Path; from prompt_objects.sessions.stores.file.store import FileStore\n"
        "store, read = FileStore(Path(sys.argv[1])), []\n"
        "sys.addaudithook(lambda event, args: read.append(event) if event == 'os.scandir' else None)\n"
        "assert store.list(limit=2) == store.list()[:2]\n"
        "print(len(read))"
    )
    result = subprocess.run([sys.executable, "-c", code, str(folder)], check=True, capture_output=True, text=True)
    return int(result.stdout)


def test_a_few_of_a_prompt_object_are_found_among_many_of_others(tmp_path: Path) -> None:
    fill(tmp_path, 150)
    with closing(FileStore(tmp_path)) as store:
        writer = SessionManager(store, "writer")
        for number in range(40):
            writer.create(f"Child {number}", parent=ParentCall("s", "c"))
        reader = SessionManager(store, "reader")
        assert [info.name for info in reader.list(limit=3)] == ["Notes 149", "Notes 148", "Notes 147"]
        assert len(reader.list(limit=149)) == 149
        assert len(reader.list(limit=400)) == len(reader.list()) == 150
        assert writer.list(limit=5, include_children=False) == []
        assert reader.list(limit=0) == []
