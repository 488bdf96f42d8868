"""The standard streams: reading and printing without tracebacks, whatever the streams are connected to.

A missing stream counts as an empty one. Characters that cannot be encoded are written as escapes. A failed write to
standard output is an error, unless its reader went away; a failed write to standard error is ignored.
"""

import io
import json
import os
import re
import select
import stat
import sys
from contextlib import contextmanager, suppress
from threading import Timer
from typing import TYPE_CHECKING, Any

from prompt_objects.errors import StoreError, UsageError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

_BEYOND_ASCII = re.compile(r"[^\x00-\x7e]+")


class ReaderGone(Exception):
    """The program that reads standard output has closed it."""


def prepare() -> None:
    """Replace missing streams, before another file can take their descriptors, and escape what cannot be encoded."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - open until exit
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_out(text: str, end: str = "\n") -> None:
    """Print to standard output. Raises `ReaderGone`, or `StoreError` if it cannot be written."""
    try:
        sys.stdout.write(text + end)
    except OSError as error:
        raise _write_error(error) from error


def flush() -> None:
    """Flush standard output; raises the same errors as `print_out`."""
    try:
        sys.stdout.flush()
    except OSError as error:
        raise _write_error(error) from error


def screen_width() -> int:
    """Return the columns of the terminal to which standard output goes; very many if it goes elsewhere."""
    import shutil

    return shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else sys.maxsize


def print_json_text(text: str) -> None:
    """Print JSON; a character that the terminal or the encoding cannot show becomes a JSON escape."""
    from prompt_objects.ui.render.sanitize import clean

    text, encoding = text.rstrip("\n"), sys.stdout.encoding or "utf-8"
    is_encodable = text.encode(encoding, "ignore").decode(encoding) == text
    is_plain = is_encodable and (not sys.stdout.isatty() or clean(text) == text)
    print_out(text if is_plain else _BEYOND_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text))


def print_text(text: str) -> None:
    """Print text of others; on a terminal without what could control it."""
    from prompt_objects.ui.render.sanitize import clean

    print_out(clean(text) if sys.stdout.isatty() else text)


def print_bytes(content: bytes) -> None:
    """Print JSON as it is, without a line end; on a terminal as `print_json_text`."""
    if sys.stdout.isatty() or not isinstance(sys.stdout, io.TextIOWrapper):
        print_json_text(content.decode())
        return
    flush()
    try:
        sys.stdout.buffer.write(content)
    except OSError as error:
        raise _write_error(error) from error


def print_err(*lines: str) -> None:
    """Print lines to standard error: everything that is not the command's output."""
    from prompt_objects.ui.render.sanitize import clean_line

    with suppress(OSError, ValueError):  # full, broken or closed
        for line in lines:
            print(clean_line(line), file=sys.stderr, flush=True)


def confirm(question: str) -> bool:
    """Ask the user; only "y" or "yes" confirms. Raises `UsageError` if standard input is not a terminal."""
    if not sys.stdin.isatty():
        raise UsageError("Nothing was done: this needs confirmation.", hint="Confirm in advance with --yes.")
    from prompt_objects.ui.render.reveal import reveal

    print_err(f"{reveal(question)} [y/N]")
    return sys.stdin.readline().strip().casefold() in {"y", "yes"}


@contextmanager
def _notice_if_slow(text: str) -> "Iterator[None]":
    """Print a line to standard error if the block takes more than a second."""
    timer = Timer(1.0, print_err, (text,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def read_input() -> str:
    """Read all of standard input. Raises `UsageError` if it is not UTF-8, or cannot be read.

    If the input does not end within a second, a line on standard error says so.
    """
    try:
        with (
            open(sys.stdin.fileno(), encoding="utf-8-sig", closefd=False) as whole,
            _notice_if_slow("Waiting for the end of standard input. To send no input: </dev/null"),
        ):
            return whole.read()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"Standard input is not UTF-8 text: byte 0x{error.object[error.start]:02x} is not valid.",
            hint="Nothing was sent. Convert it first, for example with: iconv -f LATIN1 -t UTF-8",
        ) from error
    except OSError as error:
        raise UsageError(f"Standard input cannot be read: {error.strerror or error}.") from error


class _OutputReader:
    """The program that reads standard output."""

    is_gone = False


@contextmanager
def stop_without_reader(task: "asyncio.Task[Any] | None") -> "Iterator[_OutputReader]":
    """Cancel a task as soon as the program that reads standard output, if it is a pipe, closes it."""
    import asyncio

    loop, reader, pipe = asyncio.get_running_loop(), _OutputReader(), _output_pipe()
    if pipe is None:
        yield reader
        return

    def check() -> None:  # the system reports an error of the pipe as if it were readable
        loop.remove_reader(pipe)
        reader.is_gone = _is_broken(pipe)
        if reader.is_gone and task:
            task.cancel()

    loop.add_reader(pipe, check)
    try:
        yield reader
    finally:
        loop.remove_reader(pipe)


def _output_pipe() -> int | None:
    """Return the descriptor of standard output if it is a pipe that can be watched."""
    with suppress(OSError, ValueError):
        descriptor = sys.stdout.fileno()
        if hasattr(select, "poll") and stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return descriptor
    return None


def _is_broken(pipe: int) -> bool:
    poll = select.poll()
    poll.register(pipe, 0)  # errors are always reported
    return bool(poll.poll(0))


def flush_all() -> None:
    """Flush both output streams; discard what cannot be written, so that Python reports no error at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _write_error(error: OSError) -> Exception:
    if isinstance(error, BrokenPipeError):
        return ReaderGone()
    return StoreError(f"Standard output cannot be written: {error.strerror or error}.")
