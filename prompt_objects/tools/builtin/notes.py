"""`notes`: short texts that all turns of one conversation share, including those of delegates."""

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
from prompt_objects.utils.text import arrow_path, pluralize, valid_unicode
from prompt_objects.utils.time import now, time_ago

MAX_NOTES = 100
MAX_CHARACTERS = 10_000
_LISTED_CHARACTERS = 200
_FILE = "notes.json"


class Note(Struct, frozen=True, kw_only=True):
    """A named text. Its writer is the last prompt object on `path`; the others delegated to it."""

    name: str
    text: str
    path: tuple[str, ...]
    at: datetime

    @property
    def writer(self) -> str:
        return arrow_path(self.path)


@tool
def notes(
    name: Annotated[str, Meta(max_length=100, description="Name of the note; without it, all notes are listed")] = "",
    text: Annotated[str, Meta(description="New text of the note; without it, the note is read")] = "",
    remove: Annotated[bool, Meta(description="Remove the note")] = False,  # noqa: FBT002
    *,
    context: Context,
) -> str:
    """Read, write or remove notes, which are shared by all prompt objects of this conversation and kept with it."""
    folder = notes_folder(context)
    name = " ".join(name.split())
    if not text and not remove:
        return _read(name, read_notes(folder))
    if not name or not name.isprintable():
        raise ToolError("A note needs a name of printable characters.")
    if len(text) > MAX_CHARACTERS:
        raise ToolError(f"A note has at most {MAX_CHARACTERS:,} characters; this one has {len(text):,}.")
    if remove:
        return _remove(folder, name)
    return _write(folder, Note(name=name, text=valid_unicode(text), path=context.path, at=now()))


def read_notes(workspace: Path) -> list[Note]:
    """Return the notes in a workspace, the latest last. Raises `StoreError` if their file cannot be read."""
    file = workspace / _FILE
    try:
        return msgspec.json.decode(disk.read_file(file), type=list[Note])
    except FileNotFoundError:
        return []
    except OSError as error:
        raise disk.store_error("read", file, error) from error
    except msgspec.DecodeError as error:
        raise StoreError(f"{file} does not contain notes: {error}", hint="Repair it, or move it away.") from error


def _read(name: str, saved: Iterable[Note]) -> str:
    by_name = {note.name: note for note in saved}
    if not name:
        return "\n".join(map(_summary, by_name.values())) or "There are no notes yet."
    if name not in by_name:
        raise _missing(name, by_name)
    note = by_name[name]
    return f"[written by {note.writer}, {time_ago(note.at)}]\n{note.text}"


def _summary(note: Note) -> str:
    text = " ".join(note.text.split())
    shown = text if len(text) <= _LISTED_CHARACTERS else f"{text[: _LISTED_CHARACTERS - 1]}…"
    return f"{note.name} ({note.writer}, {time_ago(note.at)}, {pluralize(len(note.text), 'character')}): {shown}"


def _write(folder: Path, note: Note) -> str:
    with _locked_notes(folder) as by_name:
        previous = by_name.pop(note.name, None)
        if len(by_name) >= MAX_NOTES:
            raise ToolError(f"There are already {MAX_NOTES} notes, the maximum. Remove one that is no longer needed.")
        by_name[note.name] = note
    return f"Wrote {note.name}." + (f" It replaces: {_summary(previous)}" if previous else "")


def _remove(folder: Path, name: str) -> str:
    with _locked_notes(folder) as by_name:
        if name not in by_name:
            raise _missing(name, by_name)
        removed = by_name.pop(name)
    return f"Removed: {_summary(removed)}"


def _missing(name: str, known: Iterable[str]) -> ToolError:
    return ToolError(f"There is no note {name!r}. Existing notes: {', '.join(known) or 'none'}.")


@contextmanager
def _locked_notes(folder: Path) -> Iterator[dict[str, Note]]:
    """Lock the notes, yield them by name, and save the changes that the block makes."""
    with disk.locked_file(folder / f"{_FILE}.lock"):
        by_name = {note.name: note for note in read_notes(folder)}
        yield by_name
        with disk.store_errors("written", folder / _FILE):
            disk.replace_file(folder / _FILE, [msgspec.json.encode(list(by_name.values()))])


def notes_folder(context: Context) -> Path:
    """Return the workspace that has the notes of a turn. Raises `ToolError` outside of turns."""
    if context.session is None:
        raise ToolError("Notes exist only during a turn.")
    return workspace_of(context.session.info, context.services.store, context.services.workspace)
