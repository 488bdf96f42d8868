"""A torn last write of a session loses no earlier message, and no bytes are discarded."""

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain, islice
from pathlib import Path

import msgspec
import pytest

from prompt_objects.message import Message
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.file.store import FileStore
from tests.support.campaign.inspection import check_files, read_session
from tests.support.campaign.torn_states import SECTOR, out_of_order, prefixes, sectors

BLOCK = 4096
FOOT = len('],"updated_at":"2026-01-01T00:00:00.000000Z"}\n')


def message(number: int, length: int, padding: int = 0) -> Message:
    noise = "".join(random.Random(number).choices('abcdefghij {}[],"\\\n', k=length))
    text = f"{number} \N{GRINNING FACE}\u2028 {noise}{'x' * padding}"
    return {"role": "user", "content": text, "at": "2026-01-01T00:00:00.000000Z"}


class Torn:
    """A session with three messages and a fourth being written, in a folder that can be set to any state."""

    def __init__(self, folder: Path, length: int, padding: int = 0) -> None:
        self.folder = folder
        self.messages = [message(0, 40, padding), message(1, 40), message(2, 40), message(3, length)]
        with closing(FileStore(folder)) as store:
            session = SessionManager(store, "reader").create("Notes")
            session.append(*self.messages[:3])
            self.path = folder / "sessions" / f"{session.id}.json"
            self.index = folder / "sessions" / "index.json"
            self.before, self.index_before = self.path.read_bytes(), self.index.read_bytes()
            session.append(self.messages[3])
            self.after, self.index_after = self.path.read_bytes(), self.index.read_bytes()
        self.line = self.after.splitlines()[4]
        self.end = self.before.rindex(b"\n]") + 1  # the offset of the write

    def put(self, data: bytes, index: bytes | None) -> None:
        """Write these contents to the disk and remove the files of earlier repairs."""
        for path in self.folder.joinpath("sessions").iterdir():
            if path.is_file() and path != self.path:
                path.unlink()
        self.path.write_bytes(data)
        if index is not None:
            self.index.write_bytes(index)

    def check(self, data: bytes, *, examined: bool) -> None:
        """Check what a new program reads, and that the next one, or the doctor if `examined`, agrees."""
        kept = self._kept(by_examining=False)
        count = len(kept)
        assert kept == self.messages[:count]
        assert count >= self._readable_before(data)
        assert self._kept(by_examining=examined) == kept
        if examined:
            assert read_session(self.path)["history"] == kept
            check_files(self.folder)
        if count == 3:
            self._check_set_aside(data)
        self._go_on(kept)

    def _kept(self, *, by_examining: bool) -> list[Message]:
        with closing(FileStore(self.folder)) as store:
            if by_examining:
                store.check(repair=True)
                assert store.check() == []
            (info,) = store.list()
            messages = store.read(info.id, 0, 10)
            assert store.load(info.id).info.message_count == len(messages)
            assert messages[-2:] == store.read(info.id, len(messages) - 2, len(messages))
            return messages

    def _go_on(self, kept: list[Message]) -> None:
        with closing(FileStore(self.folder)) as store:
            (info,) = store.list()
            store.append(info.id, [message(9, 10)], expected=len(kept))
            assert store.read(info.id, 0, 10) == [*kept, message(9, 10)]
        read_session(self.path)

    def _readable_before(self, data: bytes) -> int:
        """Count the first messages that are intact: a write never changes them, but a faulty disk may."""
        return sum(line in data for line in self.before.splitlines()[1:4])

    def _check_set_aside(self, data: bytes) -> None:
        """Check that the parts of the torn message are in quarantine, except pieces shorter than a footer."""
        corrupt = self.path.with_suffix(".corrupt")
        aside = corrupt.read_bytes() if corrupt.exists() else b""
        for piece in _pieces(data, self.after, self.end, self.end + len(self.line)):
            assert len(piece) < FOOT or piece in aside


def _pieces(data: bytes, after: bytes, start: int, stop: int) -> Iterator[bytes]:
    """Yield the parts of a write that reached the disk, sector by sector."""
    place = start
    while place < min(stop, len(data)):
        end = min(stop, len(data), (place // SECTOR + 1) * SECTOR)
        if data[place:end] == after[place:end]:
            yield data[place:end].strip(b" \t\r\n,")  # separators between messages are not kept
        place = end


pytest_plugins = ["tests.support.campaign.fixtures"]


@pytest.fixture(params=["the index before", "the index after", "no index", "zeros", "half an index"])
def index(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def index_bytes(torn: Torn, index: str) -> bytes | None:
    choices = {
        "the index before": torn.index_before,
        "the index after": torn.index_after,
        "no index": None,
        "zeros": bytes(len(torn.index_after)),
        "half an index": torn.index_after[: len(torn.index_after) // 2],
    }
    return choices[index]


def go_through(torn: Torn, states: Iterator[bytes], index: str, *, examine_every: int = 10) -> int:
    """Check all distinct states; examine only some, because an examination waits to confirm a finding."""
    distinct = dict.fromkeys(states)
    for number, data in enumerate(distinct):
        torn.put(data, index_bytes(torn, index))
        torn.check(data, examined=number % examine_every == 0)
    return len(distinct)


def states_of(torn: Torn, choose: random.Random, most: int) -> Iterator[bytes]:
    write = torn.before, torn.after
    return chain(prefixes(*write), sectors(*write, choose, most), out_of_order(*write))


def test_every_prefix_of_a_short_message(memory_folder: Path) -> None:
    torn = Torn(memory_folder, 20)
    assert go_through(torn, prefixes(torn.before, torn.after), "the index before") > 100


def test_sectors_of_a_long_message_in_any_choice(memory_folder: Path, index: str) -> None:
    torn = Torn(memory_folder, 1500)
    write = torn.before, torn.after
    states = chain(sectors(*write, random.Random(1), 8), out_of_order(*write))
    assert go_through(torn, states, index) > 10


def test_a_footer_across_two_sectors_with_one_written(memory_folder: Path) -> None:
    """A line then has the start of the message and the end of the old footer, and may look like a message."""
    size = Torn(memory_folder / "first", 200).end + FOOT
    for inside in range(1, FOOT, 5):
        padding = (inside - size) % SECTOR
        torn = Torn(memory_folder / str(inside), 200, padding)
        assert (torn.end + FOOT) % SECTOR == inside
        go_through(torn, sectors(torn.before, torn.after, random.Random(inside), 16), "the index before")


@pytest.mark.parametrize("left", [0, 1, 2, 30])
def test_a_footer_at_the_end_of_a_block_with_little_padding(memory_folder: Path, left: int) -> None:
    size = Torn(memory_folder / "first", 200).end + FOOT
    torn = Torn(memory_folder / "full", 200, (-size - left) % BLOCK)
    assert len(torn.before) - (torn.end + FOOT) == left
    write = torn.before, torn.after
    go_through(torn, chain(islice(prefixes(*write), 60), sectors(*write, random.Random(left), 64)), "no index")


@pytest.mark.campaign
@pytest.mark.parametrize("length", [0, 1, 30, 500, 2500, 4500])
@pytest.mark.parametrize(
    "left", [3400, 700, 5], ids=["3400 bytes of padding", "700 bytes of padding", "5 bytes of padding"]
)
def test_every_prefix_and_every_choice_of_sectors(
    memory_folder: Path, index: str, length: int, left: int, tell: Callable[[str], None]
) -> None:
    size = Torn(memory_folder / "first", length).end + FOOT
    torn = Torn(memory_folder / "torn", length, (-size - left) % BLOCK)
    count = go_through(torn, states_of(torn, random.Random(length), 1024), index, examine_every=20)
    tell(
        f"{count:,} torn states of a message of {length} characters, {left} bytes of padding, {index}; nothing lost."
    )


def test_an_index_newer_than_its_files_lists_their_content(memory_folder: Path) -> None:
    torn = Torn(memory_folder, 20)
    entry = msgspec.json.decode(torn.index_after)["sessions"][0]
    assert entry["message_count"] == 4
    torn.put(torn.before, torn.index_after)
    torn.check(torn.before, examined=True)
