"""Reads session files that are not canonical: indented by hand, cut off, or partly overwritten.

Every whole message is kept, wherever it is; unreadable parts are returned unchanged.
"""

import dataclasses
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from itertools import islice
from typing import Any

from prompt_objects.message import Message
from prompt_objects.sessions.stores.json_lines import decode_at

_HISTORY_START = re.compile(r'"history"\s*:\s*\[')
_MESSAGE_START = re.compile(r'(?:^|(?<=\0)),?\{"role"\s*:', re.MULTILINE)
_MAX_HEADER = 64 * 1024
_SECTOR = 512  # of a disk: each is written completely or not at all
# In a sector of a message that was not written: padding, after at most a part of a footer.
_UNWRITTEN = "\t" * (_SECTOR - 64)
_SEPARATORS = re.compile(r"[\s,\0]*")
_FOOTER = re.compile(r"\][^{\n]*")
_BLANK_CHARACTERS = "\0 \t\r\n"
_UPDATED = re.compile(r'"updated_at"\s*:\s*"([^"]+)"')


@dataclasses.dataclass(frozen=True, slots=True)
class Recovered:
    """The header, the messages and the unreadable bytes of a file; `whole` if it was valid JSON."""

    header: dict[str, Any]
    messages: list[Message]
    unreadable: bytes
    whole: bool


def recover(data: bytes, footer_length: int) -> Recovered:
    """Read all readable parts; of a damaged header, its whole values."""
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):  # an editor has saved it so
        data = data.decode("utf-16", errors="replace").encode(errors="replace")
        return dataclasses.replace(recover(data, footer_length), whole=False)
    if whole := _whole(_text(data).strip(_BLANK_CHARACTERS)):
        return whole
    start, end = _torn_line(data, footer_length)
    torn, text = _text(data[start:end]), _text(data[:start] + data[end:])
    return _recover_messages(text, torn) or _recover_without_header(text, torn)


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape").removeprefix("\ufeff")


def _torn_line(data: bytes, footer_length: int) -> tuple[int, int]:
    """Return the span of a torn line, half a new message and half the old footer; an empty span if there is none.

    It may look like a message: `,{"role":"user","content":"` and `02:41:25.341106Z"}` make one. But it is as long
    as a footer, and a real message is longer: its time alone takes more than half of that. The footer was the end of
    the file, or is followed by padding, zeros, or the next sector, which was written.
    """
    for line in re.finditer(rb"^(?=,?\{)[^\n]{%d}\n" % (footer_length - 1), data, re.MULTILINE):
        end = line.end()
        following = data[end : end + 1]
        is_at_edge = (end + (following == b"\n")) % _SECTOR == 0  # the last byte of the padding ends a line
        if is_at_edge or following in (b"", b"\0", b"\t"):
            return line.span()
    return 0, 0


def _whole(text: str) -> Recovered | None:
    found = _decode_whole(text, 0)
    if found is None or found[1] != len(text):
        return None
    document = found[0]
    if not isinstance(document, dict) or not isinstance(document.get("history"), list):
        return None
    history = document.pop("history")
    if not all(_is_message(element) for element in history):
        return None
    return Recovered(document, history, b"", whole=True)


def _recover_messages(text: str, torn: str) -> Recovered | None:
    # metadata may have a list called history, too; the header is a valid object if it is closed there
    for begin in islice(_HISTORY_START.finditer(text), 20):
        closed = decode_at(text[: begin.end()] + "]}", 0)
        header = closed[0] if closed else None
        if isinstance(header, dict) and isinstance(header.get("history"), list):  # not a key like `x"history`
            del header["history"]
            messages, unreadable = _scan(text, begin.end())
            header |= _updated(text)
            return Recovered(header, messages, (unreadable + torn).encode(errors="surrogateescape"), whole=False)
    return None


def _recover_without_header(text: str, torn: str) -> Recovered:
    """Read a file with a damaged or missing header."""
    begin = _HISTORY_START.search(text)
    first = _MESSAGE_START.search(text)
    start = begin.end() if begin else first.start() if first else len(text)
    before = text[:start]
    header = dict(_header_texts(before[:_MAX_HEADER]))
    messages, unreadable = _scan(text, start)
    header |= _updated(text)
    before = before.strip(_BLANK_CHARACTERS)
    quarantined = (f"{before}\n" if before else "") + unreadable + torn
    return Recovered(header, messages, quarantined.encode(errors="surrogateescape"), whole=False)


def _updated(text: str) -> dict[str, str]:
    found = _UPDATED.search(text.rstrip(_BLANK_CHARACTERS)[-200:])
    return {"updated_at": found[1]} if found else {}


def _header_texts(text: str) -> Iterator[tuple[str, str]]:
    """Yield the whole texts in a damaged header with their keys; only the first of each key."""
    for key in ("user_id", "created_at", "po_name", "name"):
        found = re.search(rf'"{key}"\s*:\s*', text)
        value = decode_at(text, found.end()) if found else None
        if value and isinstance(value[0], str):
            yield key, value[0]


def _scan(text: str, position: int) -> tuple[list[Message], str]:
    """Return the messages from `position` on, and the unreadable lines between them."""
    messages: list[Message] = []
    unreadable: list[str] = []
    while (position := _skip(_SEPARATORS, text, position)) < len(text):
        found = _decode_whole(text, position) if text[position] == "{" else None
        if found and _is_message(found[0]):
            messages.append(found[0])
            position = found[1]
            continue
        line_end = text.find("\n", position)
        end = len(text) if line_end < 0 else line_end + 1
        if _skip(_FOOTER, text, position) < end - 1:
            unreadable.append(text[position:end].rstrip("\t\n") + "\n")
        position = end
    return messages, "".join(unreadable)


def _decode_whole(text: str, position: int) -> tuple[Any, int] | None:
    """Decode a value like `decode_at`; None if a sector of it was not written, even if the rest is valid JSON."""
    found = decode_at(text, position)
    return None if found and text.find(_UNWRITTEN, position, found[1]) >= 0 else found


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("role"), str)
