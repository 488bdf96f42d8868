"""The standard streams: whatever they are connected to, printing ends in words or not at all.

A missing stream is an empty one. What cannot be encoded is written as escapes. Standard output that refuses is an
error, unless its reader went away; standard error that refuses stops nothing, since there is nobody left to tell.
"""

import io
import json
import os
import re
import sys
from contextlib import suppress

from prompt_objects.errors import StoreError, UsageError

__all__ = [
    "ReaderGone",
    "close",
    "confirm",
    "flush",
    "prepare",
    "print_err",
    "print_out",
    "put_as_json",
    "put_json",
    "read_input",
]

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")


class ReaderGone(Exception):
    """Whoever read standard output has seen enough."""


def prepare() -> None:
    """Make the three streams fit to be used, before anything else opens a file in the place of a missing one."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - for as long as we run
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_out(text: str, end: str = "\n") -> None:
    """Print what was asked for. Raises `ReaderGone`, or `StoreError` where standard output refuses."""
    try:
        sys.stdout.write(text + end)
    except OSError as error:
        raise _refused(error) from error


def flush() -> None:
    """See to it that what was printed has arrived; raises what `put` raises."""
    try:
        sys.stdout.flush()
    except OSError as error:
        raise _refused(error) from error


def put_as_json(value: object) -> None:
    """Print a value as JSON."""
    put_json(json.dumps(value, ensure_ascii=False, indent=2))


def put_json(text: str) -> None:
    """Print JSON; a character that the terminal or the encoding cannot bear becomes an escape of JSON's own."""
    from prompt_objects.ui.render.sanitize import clean

    text = text.rstrip("\n")
    try:
        text.encode(sys.stdout.encoding or "utf-8")
        is_plain = not sys.stdout.isatty() or clean(text) == text
    except UnicodeEncodeError:
        is_plain = False
    print_out(text if is_plain else _BEYOND_ASCII.sub(_escape, text))


def print_err(text: str) -> None:
    """Tell the person something that is not the answer."""
    from prompt_objects.ui.render.sanitize import clean_line

    with suppress(OSError):
        print(clean_line(text), file=sys.stderr, flush=True)


def confirm(question: str) -> bool:
    """Ask the person; only a plain yes counts. Raises `UsageError` where there is nobody to ask."""
    if not sys.stdin.isatty():
        raise UsageError("Nothing was done: this has to be confirmed.", hint="Say so in advance with --yes.")
    print_err(f"{question} [y/N]")
    return sys.stdin.readline().strip().casefold() in {"y", "yes"}


def read_input() -> str:
    """Read all of standard input. Raises `UsageError` where it is not UTF-8, or cannot be read."""
    try:
        with open(sys.stdin.fileno(), encoding="utf-8", closefd=False) as whole:
            return whole.read()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"Standard input is not UTF-8 text: byte 0x{error.object[error.start]:02x} cannot stand there.",
            hint="Nothing was sent. Convert it first, as with: iconv -f LATIN1 -t UTF-8",
        ) from error
    except OSError as error:
        raise UsageError(f"Standard input cannot be read: {error.strerror or error}.") from error


def close() -> None:
    """Before the end: let go of what a stream refuses, so that Python does not complain of it at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _refused(error: OSError) -> Exception:
    if isinstance(error, BrokenPipeError):
        return ReaderGone()
    return StoreError(f"Standard output cannot be written: {error.strerror or error}.")


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
