"""Writing a session to a file of its own."""

import os
from pathlib import Path

from prompt_objects.errors import UsageError
from prompt_objects.sessions.formats import exporter
from prompt_objects.sessions.session import Session
from prompt_objects.utils.filesystem import make_folder, store_error
from prompt_objects.utils.time import timestamp

__all__ = [
    "export_to",
    "write_new",
]

_SUFFIXES = {"markdown": ".md", "json": ".json"}
_LONGEST_STEM = 120  # bytes; a file's name may have 255, on some encrypted disks 143


def export_to(session: Session, kind: str, path: Path | None, folder: Path) -> Path:
    """Write a session in the format `kind` to the new file `path`, by default to one in `folder`; return which.

    Raises `UsageError` where the file exists or there is no such format, and `StoreError` where the disk refuses.
    """
    text = exporter(kind)(session)
    if path is None:
        try:
            make_folder(folder)
        except OSError as error:
            raise store_error("made", folder, error) from error
        stamp = timestamp()[:19].replace(":", "")
        path = folder / f"{_stem(session)}-{stamp}{_SUFFIXES[kind]}"
    return write_new(path, text)


def _stem(session: Session) -> str:
    """Name the object and the session by letters that are safe in a file's name, whatever they are called."""
    parts = (_plain(session.po_name), _plain(session.name))
    return "-".join(filter(None, parts)).encode()[:_LONGEST_STEM].decode(errors="ignore").strip("-") or "session"


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter == "_" else "-" for letter in name).strip("-")


def write_new(path: Path, text: str) -> Path:
    """Write a file that only its owner can read, and that does not exist yet; return its path."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise UsageError(f"{path} exists already; it was not overwritten.", hint="Give another name.") from error
    except OSError as error:
        raise store_error("written", path, error) from error
    except ValueError as error:  # a NUL
        raise UsageError(f"{str(path)!r} cannot be the name of a file.", hint="Give another name.") from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
    except OSError as error:
        path.unlink()
        raise store_error("written", path, error) from error
    return path
