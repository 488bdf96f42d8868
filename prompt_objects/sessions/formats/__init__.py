"""Export formats: one module each, with a `SUFFIX` and a function `export`.

A new file in this folder, or an entry point in the group `prompt_objects.formats`, is a new format.
"""

import os
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Protocol, cast

from prompt_objects.errors import UsageError
from prompt_objects.sessions.session import Session
from prompt_objects.utils.filesystem import make_folder, store_error, store_errors
from prompt_objects.utils.text import did_you_mean, quoted
from prompt_objects.utils.time import timestamp

GROUP = "prompt_objects.formats"
_MAX_STEM = 120  # bytes; a file name may have 255, on some encrypted disks 143


class Format(Protocol):
    """A module, or another object, that writes sessions in one format."""

    SUFFIX: str  # of its files, such as ".md"

    def export(self, session: Session) -> str:
        """Return the whole session as text that can be encoded as UTF-8."""


@cache
def format_names() -> tuple[str, ...]:
    """Return the names of all formats, built in and installed."""
    from importlib.metadata import entry_points

    return tuple(sorted({*_built_in(), *entry_points(group=GROUP).names}))


def _built_in() -> list[str]:
    return [module.name for module in iter_modules(__path__)]


def find_format(name: str) -> Format:
    """Return a format by its name. Raises `UsageError` if there is none, or if its package cannot be loaded."""
    if name in _built_in():
        return cast("Format", import_module(f"{__name__}.{name}"))
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP, name=name):
        try:
            return cast("Format", entry.load())
        except (ImportError, AttributeError) as error:
            raise UsageError(f"The format {quoted(name)} ({entry.value}) cannot be loaded: {error}.") from error
    hint = did_you_mean(name, format_names()) or f"Formats: {', '.join(format_names())}."
    raise UsageError(f"There is no format {quoted(name)}.", hint=hint)


def export_to(session: Session, format_name: str, path: Path | None, folder: Path) -> Path:
    """Write a session to the new file `path`, by default to one in `folder`; return its path.

    Raises `UsageError` if the file exists or there is no such format, and `StoreError` if writing fails.
    """
    chosen = find_format(format_name)
    text = chosen.export(session)
    if path is None:
        with store_errors("made", folder):
            make_folder(folder)
        path = folder / f"{_stem(session)}-{timestamp()[:19].replace(':', '')}{chosen.SUFFIX}"
    return write_new(path, text)


def _stem(session: Session) -> str:
    """Return a file name from the names of object and session, in characters that are safe on every disk."""
    parts = (_safe(session.po_name), _safe(session.name))
    return "-".join(filter(None, parts)).encode()[:_MAX_STEM].decode(errors="ignore").strip("-") or "session"


def _safe(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter == "_" else "-" for letter in name).strip("-")


def write_new(path: Path, text: str) -> Path:
    """Write a file that does not exist yet and that only its owner can read; return its path."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise UsageError(f"{path} exists already; it was not overwritten.", hint="Give another name.") from error
    except OSError as error:
        raise store_error("written", path, error) from error
    except ValueError as error:  # a NUL
        raise UsageError(f"{quoted(str(path))} cannot be a file name.", hint="Give another name.") from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
    except OSError as error:
        path.unlink()
        raise store_error("written", path, error) from error
    return path
