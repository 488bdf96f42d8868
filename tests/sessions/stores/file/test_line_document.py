"""The last block of a session's file is padded, and new messages overwrite the padding."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_objects.errors import StoreError
from prompt_objects.message import Message
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.file.store import FileStore
from tests.support.file_store import fresh, length_of, no_file_beyond
from tests.support.sessions import user_messages

pytest_plugins = ["tests.support.file_store_fixtures"]

BLOCK, SECTOR = 4096, 512
FRAME = len(',{"role":"user","content":"","at":"2026-01-01T00:00:00.000000Z"}\n')


def contents(session: Session) -> list[str]:
    return [str(message["content"]) for message in session.history]


@pytest.mark.parametrize("length", [1, 300, 1000, 5000])
def test_a_file_is_whole_blocks_of_plain_json_after_every_message(file: Path, notes: Session, length: int) -> None:
    inode = file.stat().st_ino
    for _ in range(20):
        notes.append(*user_messages("x" * length))
        data = file.read_bytes()
        assert len(data) == -(-length_of(file) // BLOCK) * BLOCK
        assert len(json.loads(data)["history"]) == notes.message_count
    assert file.stat().st_ino == inode


@pytest.mark.parametrize("left", range(4))
def test_the_next_message_is_found_with_any_length_of_padding(
    folder: Path, file: Path, notes: Session, left: int
) -> None:
    filling = "x" * (-(length_of(file) + FRAME + left) % BLOCK)
    notes.append(*user_messages(filling))
    assert len(file.read_bytes()) - length_of(file) == left
    notes.append(*user_messages("next"))
    assert contents(fresh(folder, notes)) == ["one", "two ü", filling, "next"]
    assert len(file.read_bytes()) % BLOCK == 0


@pytest.mark.parametrize(
    "other",
    [lambda data: data.rstrip(b"\t\n") + b"\n", lambda data: data[:-1], lambda data: data[:-700]],
    ids=["none, as of an older program", "without the last one", "fewer"],
)
def test_padding_may_be_missing(
    folder: Path, file: Path, file_store: FileStore, notes: Session, other: Callable[[bytes], bytes]
) -> None:
    file_store.close()
    file.write_bytes(other(file.read_bytes()))
    inode = file.stat().st_ino
    found = fresh(folder, notes)
    assert contents(found) == ["one", "two ü"]
    found.append(*user_messages("three"))
    assert file.stat().st_ino == inode, "a canonical file is not rewritten"
    assert contents(fresh(folder, notes)) == ["one", "two ü", "three"]
    assert file_store.check() == []


def test_a_message_of_another_is_noticed_though_the_file_is_no_longer(
    folder: Path, file: Path, notes: Session
) -> None:
    other = fresh(folder, notes)
    for number in range(5):
        length = file.stat().st_size
        notes.append(*user_messages(str(number)))
        assert file.stat().st_size == length
        for _ in range(2):  # the bytes in place of the footer are not taken for a footer at the second read
            other.refresh()
            assert other.message_count == notes.message_count
        assert contents(other)[-1] == str(number)


def test_a_refused_append_leaves_the_file_and_its_padding_unchanged(file: Path, notes: Session) -> None:
    before = file.read_bytes()
    with no_file_beyond(len(before) + 100):
        with pytest.raises(StoreError):
            notes.append(*user_messages("x" * BLOCK))
        assert file.read_bytes() == before
        notes.append(*user_messages("this has room"))
    assert len(file.read_bytes()) == len(before)


def full_up_to(session: Session, file: Path, place: int) -> None:
    """Fill the file so that the next write starts `place` bytes into a sector."""
    session.append(*user_messages("x" * ((place - file.read_bytes().rindex(b"\n]") - 1 - FRAME) % SECTOR)))
    assert (file.read_bytes().rindex(b"\n]") + 1) % SECTOR == place


def test_the_end_of_an_old_foot_makes_no_message_of_the_beginning_of_a_new_one(
    folder: Path, file: Path, file_store: FileStore, notes: Session
) -> None:
    """Even if the whole file is valid JSON: the sector between them has the rest of the footer and padding."""
    full_up_to(notes, file, 474)
    before = file.read_bytes()
    edge = before.rindex(b"\n]") + 1 + SECTOR - 474
    notes.append(*user_messages("half of a p" + "x" * (SECTOR * 2 - 474 - FRAME - 11), "second"))
    after = file.read_bytes()
    assert after[edge + SECTOR :].startswith(b',{"role"')
    data = after[:edge] + before[edge : edge + SECTOR] + after[edge + SECTOR :]
    assert json.loads(data)["history"][3]["content"].startswith("half of a p")
    file_store.close()
    file.write_bytes(data)
    assert [content[:11] for content in contents(fresh(folder, notes))] == ["one", "two ü", "x" * 11, "second"]
    assert b"half of a p" in file.with_suffix(".corrupt").read_bytes()


def holed(file: Path, notes: Session, edge: int) -> tuple[bytes, Message]:
    """Return a file without one sector, which held exactly one field of a message, and that message."""
    before = file.read_bytes()
    start = before.rindex(b"\n]") + 1 + len(',{"role":"user","content":"",')
    message = {
        "role": "user",
        "content": "x" * (-start % SECTOR + edge * SECTOR),
        "lost": "y" * (SECTOR - len('"lost":"",')),
        "at": "2026-01-01T00:00:00.000000Z",
    }
    notes.append(message)
    after, place = file.read_bytes(), file.read_bytes().index(b'"lost"')
    assert place % SECTOR == 0
    assert after[place + SECTOR - 1 : place + SECTOR + 1] == b',"'
    return after[:place] + before[place : place + SECTOR].ljust(SECTOR, b"\0") + after[place + SECTOR :], message


@pytest.mark.parametrize("edge", [0, 1, 4, 5])
def test_a_message_without_one_of_its_sectors_is_not_taken_for_whole_even_if_it_is_json(
    folder: Path, file: Path, file_store: FileStore, notes: Session, edge: int
) -> None:
    data, message = holed(file, notes, edge)
    assert "lost" not in json.loads(data)["history"][2]
    file_store.close()
    file.write_bytes(data)
    found = fresh(folder, notes)
    assert contents(found) == ["one", "two ü"]
    assert str(message["content"]).encode() in file.with_suffix(".corrupt").read_bytes()
    found.append(*user_messages("three"))
    assert contents(fresh(folder, notes)) == ["one", "two ü", "three"]
