"""`notes`: small values that all prompt objects at work on one thing share, and who wrote them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from prompt_objects.errors import StoreError, ToolError
from prompt_objects.runtime.context import Context
from prompt_objects.sessions.workspace import workspace_of
from prompt_objects.tools.decorator import tool
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.text import arrow_path, pluralize, time_ago
from prompt_objects.utils.time import now

__all__ = [
    "Note",
    "notes",
    "read_notes",
]

MOST_NOTES = 100
MOST_CHARACTERS = 10_000
_SHOWN = 200  # characters of each in the list of all
_FILE = "notes.json"


class Note(Struct, frozen=True, kw_only=True):
    """A text under a name, and who wrote it: the last of those on the path, asked by the others."""

    name: str
    text: str
    path: tuple[str, ...]
    at: datetime

    @property
    def writer(self) -> str:
        """Who wrote it, and by whom that one was asked."""
        return arrow_path(self.path)


@tool
def notes(
    name: Annotated[str, Meta(max_length=100, description="Which note; without a name, all are listed")] = "",
    text: Annotated[str, Meta(description="What it is to say from now on; without a text, it is read")] = "",
    remove: Annotated[bool, Meta(description="Whether it is to be removed")] = False,  # noqa: FBT002
    *,
    context: Context,
) -> str:
    """Read, write or remove notes. All at work on this conversation, by delegation too, share them, and they stay."""
    folder = _folder(context)
    name = " ".join(name.split())
    if not text and not remove:
        return _read(name, read_notes(folder))
    if not name or not name.isprintable():
        raise ToolError("A note needs a name that can be shown.")
    if len(text) > MOST_CHARACTERS:
        raise ToolError(f"A note has at most {MOST_CHARACTERS:,} characters; this one has {len(text):,}.")
    if remove:
        return _remove(folder, name)
    return _write(folder, Note(name=name, text=text.encode(errors="replace").decode(), path=context.path, at=now()))


def read_notes(workspace: Path) -> list[Note]:
    """Return the notes in a workspace, the last written last. Raises `StoreError` for a file that cannot be read."""
    file = workspace / _FILE
    try:
        return msgspec.json.decode(disk.read_file(file), type=list[Note])
    except FileNotFoundError:
        return []
    except OSError as error:
        raise disk.store_error("read", file, error) from error
    except msgspec.DecodeError as error:
        raise StoreError(f"{file} holds no notes: {error}", hint="Mend it, or move it away.") from error


def _read(name: str, known: Iterable[Note]) -> str:
    found = {note.name: note for note in known}
    if not name:
        return "\n".join(map(_listed, found.values())) or "There are no notes yet."
    if name not in found:
        raise ToolError(f"There is no note {name!r}. There are: {', '.join(found) or 'none'}.")
    note = found[name]
    return f"[written by {note.writer}, {time_ago(note.at)}]\n{note.text}"


def _listed(note: Note) -> str:
    text = " ".join(note.text.split())
    shown = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
    return f"{note.name} ({note.writer}, {time_ago(note.at)}, {pluralize(len(note.text), 'character')}): {shown}"


def _write(folder: Path, note: Note) -> str:
    with _open(folder) as known:
        before = known.pop(note.name, None)
        if len(known) >= MOST_NOTES:
            raise ToolError(f"There are {MOST_NOTES} notes already, which is the most. Remove one that is done with.")
        known[note.name] = note
    return f"Wrote {note.name}." + (f" It replaces: {_listed(before)}" if before else "")


def _remove(folder: Path, name: str) -> str:
    with _open(folder) as known:
        if name not in known:
            raise ToolError(f"There is no note {name!r}. There are: {', '.join(known) or 'none'}.")
        before = known.pop(name)
    return f"Removed: {_listed(before)}"


@contextmanager
def _open(folder: Path) -> Iterator[dict[str, Note]]:
    """Have the notes to oneself, by name, and keep what the block makes of them, whoever else writes some."""
    with disk.locked_file(folder / f"{_FILE}.lock"):
        known = {note.name: note for note in read_notes(folder)}
        yield known
        try:
            disk.replace_file(folder / _FILE, [msgspec.json.encode(list(known.values()))])
        except OSError as error:
            raise disk.store_error("written", folder / _FILE, error) from error


def _folder(context: Context) -> Path:
    if context.session is None:
        raise ToolError("There are notes only where a turn is going on.")
    return workspace_of(context.session.info, context.services.store, context.services.workspace)
