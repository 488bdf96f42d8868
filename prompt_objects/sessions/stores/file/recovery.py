"""Reading a session file that is not as we write it: indented by hand, cut off, overwritten in part.

Every message that is whole is kept, wherever it stands; what cannot be read is handed back as it was.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from prompt_objects.message import Message
from prompt_objects.sessions.stores.json_lines import decode_at

_LIST_BEGINS = re.compile(r'"history"\s*:\s*\[')
_MESSAGE_BEGINS = re.compile(r'(?:^|(?<=\0)),?\{"role"\s*:', re.MULTILINE)
_LONGEST_HEAD = 64 * 1024
_SECTOR = 512  # of a disk: each is written wholly or not at all
_HOLE = "\t" * (_SECTOR - 64)  # one that was to hold a message, and still has blanks, behind a piece of foot at most
_BETWEEN = re.compile(r"[\s,\0]*")
_FOOT = re.compile(r"\][^{\n]*")
_BLANK = "\0 \t\r\n"
_UPDATED = re.compile(r'"updated_at"\s*:\s*"([^"]+)"')


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a file holds: its head, its messages, and the bytes that could not be understood.

    `whole` says that it was valid JSON, only not in our form.
    """

    head: dict[str, Any]
    messages: list[Message]
    unreadable: bytes
    whole: bool


def recover(data: bytes, foot_length: int) -> Recovered:
    """Read what can be read; of a head that cannot, whatever values in it are whole."""
    if whole := _whole(_text(data).strip(_BLANK)):
        return whole
    start, end = _mixed_line(data, foot_length)
    mixed, text = _text(data[start:end]), _text(data[:start] + data[end:])
    return _in_parts(text, mixed) or _without_head(text, mixed)


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape").removeprefix("\ufeff")


def _mixed_line(data: bytes, foot_length: int) -> tuple[int, int]:
    """Return where a line stands that a write began and the rest of the old foot ends; an empty place if none does.

    It may look like a message: `,{"role":"user","content":"` and `02:41:25.341106Z"}` make one. But it is as long
    as a foot, and a true message is longer: its time alone takes more than half of that. The foot was the end of the
    file, or is followed by blanks, zeros, or the next sector, where more of the write came through.
    """
    for line in re.finditer(rb"^(?=,?\{)[^\n]{%d}\n" % (foot_length - 1), data, re.MULTILINE):
        end = line.end()
        behind = data[end : end + 1]
        is_at_edge = (end + (behind == b"\n")) % _SECTOR == 0  # the last blank of a block ends a line
        if is_at_edge or behind in (b"", b"\0", b"\t"):
            return line.span()
    return 0, 0


def _whole(text: str) -> Recovered | None:
    found = _decode_unbroken(text, 0)
    if found is None or found[1] != len(text):
        return None
    document = found[0]
    if not isinstance(document, dict) or not isinstance(document.get("history"), list):
        return None
    history = document.pop("history")
    if not all(_is_message(element) for element in history):
        return None
    return Recovered(document, history, b"", whole=True)


def _in_parts(text: str, mixed: str) -> Recovered | None:
    # metadata may have a list called history, too; the head is what makes an object when it is closed there
    for begin in islice(_LIST_BEGINS.finditer(text), 20):
        closed = decode_at(text[: begin.end()] + "]}", 0)
        if closed is not None and isinstance(closed[0], dict):
            head = closed[0]
            del head["history"]
            messages, unreadable = _scan(text, begin.end())
            head |= _updated(text)
            return Recovered(head, messages, (unreadable + mixed).encode(errors="surrogateescape"), whole=False)
    return None


def _without_head(text: str, mixed: str) -> Recovered:
    """Read a file whose beginning is damaged: what was cut off of it, or overwritten, may be anything."""
    begin = _LIST_BEGINS.search(text)
    first = _MESSAGE_BEGINS.search(text)
    start = begin.end() if begin else first.start() if first else len(text)
    before = text[:start]
    head = dict(_salvaged(before[:_LONGEST_HEAD]))
    messages, unreadable = _scan(text, start)
    head |= _updated(text)
    before = before.strip(_BLANK)
    aside = (f"{before}\n" if before else "") + unreadable + mixed
    return Recovered(head, messages, aside.encode(errors="surrogateescape"), whole=False)


def _updated(text: str) -> dict[str, str]:
    found = _UPDATED.search(text.rstrip(_BLANK)[-200:])
    return {"updated_at": found[1]} if found else {}


def _salvaged(text: str) -> Iterator[tuple[str, str]]:
    """Yield the texts in a damaged head that are whole, by their keys; of several of one key, the first."""
    for key in ("user_id", "created_at", "po_name", "name"):
        found = re.search(rf'"{key}"\s*:\s*', text)
        value = decode_at(text, found.end()) if found else None
        if value and isinstance(value[0], str):
            yield key, value[0]


def _scan(text: str, position: int) -> tuple[list[Message], str]:
    """Collect messages from `position` on; after something unreadable, go on with the next line."""
    messages: list[Message] = []
    unreadable: list[str] = []
    while (position := _after(_BETWEEN, text, position)) < len(text):
        found = _decode_unbroken(text, position) if text[position] == "{" else None
        if found and _is_message(found[0]):
            messages.append(found[0])
            position = found[1]
            continue
        line_end = text.find("\n", position)
        end = len(text) if line_end < 0 else line_end + 1
        if _after(_FOOT, text, position) < end - 1:
            unreadable.append(text[position:end].rstrip("\t\n") + "\n")
        position = end
    return messages, "".join(unreadable)


def _decode_unbroken(text: str, position: int) -> tuple[Any, int] | None:
    """Read a value like `decode_at`; None where a sector of it did not come, even if what is left is JSON."""
    found = decode_at(text, position)
    return None if found and text.find(_HOLE, position, found[1]) >= 0 else found


def _after(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("role"), str)
