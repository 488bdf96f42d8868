"""Editing the input line in $EDITOR."""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document

from prompt_objects.errors import PromptObjectsError, UsageError
from prompt_objects.ui.line.printer import Printer

__all__ = [
    "edit",
    "edited",
]


async def edit(buffer: Buffer, screen: Printer, complain: Callable[[str], None]) -> None:
    """Put into the line what the editor leaves; what is printed meanwhile waits until that is closed."""
    with screen.taken():
        try:
            text = await edited(buffer.text)
        except PromptObjectsError as error:
            complain(str(error))
        else:
            buffer.document = Document(text)


async def edited(text: str) -> str:
    """Open a text in $VISUAL or $EDITOR and return it as it was left.

    Raises `UsageError` where there is no such editor, or where it did not end well.
    """
    command = _command()
    return await run_in_terminal(lambda: _edit(command, text), in_executor=True)


def _command() -> list[str]:
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
    try:
        words = shlex.split(named)
    except ValueError as error:
        raise UsageError(f"$EDITOR is not a command: {named} ({error})") from error
    known = next(filter(shutil.which, ("editor", "nano", "vi")), None)
    if not words and known is None:
        raise UsageError("no editor: set $EDITOR")
    return words or [str(known)]


def _edit(command: list[str], text: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "message.md")
        file.write_text(text, encoding="utf-8", errors="replace")
        try:
            code = subprocess.call([*command, str(file)])  # noqa: S603 - the person's own choice
            left = file.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise UsageError(f"{command[0]} cannot be run: {error.strerror}") from error
    if code:
        raise UsageError(f"{command[0]} ended with code {code}: the line is as it was")
    return left.removesuffix("\n")
