"""Writing a session to a file of its own."""

import os
from pathlib import Path

from prompt_objects.errors import UsageError
from prompt_objects.message import timestamp
from prompt_objects.sessions.formats import exporter
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.disk import failure, make_folder

__all__ = ["export_to", "write_new"]

_SUFFIXES = {"markdown": ".md", "json": ".json"}


def export_to(session: Session, kind: str, path: Path | None, folder: Path) -> Path:
    """Write a session in the format `kind` to the new file `path`, by default to one in `folder`; return which.

    Raises `UsageError` where the file exists or there is no such format, and `StoreError` where the disk refuses.
    """
    text = exporter(kind)(session)
    if path is None:
        make_folder(folder)
        name = "".join(letter if letter.isalnum() else "-" for letter in session.name).strip("-") or "session"
        stamp = timestamp()[:19].replace(":", "")
        path = folder / f"{session.po_name}-{name}-{stamp}{_SUFFIXES[kind]}"
    return write_new(path, text)


def write_new(path: Path, text: str) -> Path:
    """Write a file that only its owner can read, and that does not exist yet; return its path."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise UsageError(f"{path} exists already; it was not overwritten.", hint="Give another name.") from error
    except OSError as error:
        raise failure("written", path, error) from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
    except OSError as error:
        path.unlink()
        raise failure("written", path, error) from error
    return path
