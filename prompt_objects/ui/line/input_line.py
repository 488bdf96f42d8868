"""The input line: its buffer, its history, and editing it in $EDITOR."""

import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import ThreadedCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.history import FileHistory

from prompt_objects.chat.chat import Chat
from prompt_objects.errors import PromptObjectsError, UsageError
from prompt_objects.ui.line.application import Printer
from prompt_objects.ui.line.completer import CommandCompleter
from prompt_objects.ui.line.pastes import Pastes
from prompt_objects.utils import filesystem as disk


class InputBuffer(Buffer):
    """The buffer of the input, in which long pastes are folded."""

    def __init__(self, **settings: Any) -> None:
        self.pastes = Pastes()
        super().__init__(**settings)

    @property
    def whole_text(self) -> str:
        """The text with all pastes."""
        return self.pastes.unfold(self.text)

    def paste(self, text: str) -> None:
        """Insert a text; a long one is folded."""
        self.insert_text(self.pastes.fold(text))

    def append_to_history(self) -> None:
        whole = self.whole_text
        if whole and self.history.get_strings()[-1:] != [whole]:
            self.history.append_string(whole)


def make_buffer(chat: Chat, *, changed: Callable[[], None]) -> InputBuffer:
    """Make the buffer of the input, with completion and history; `changed` is called when its text changes."""
    return InputBuffer(
        name=DEFAULT_BUFFER,
        multiline=True,
        completer=ThreadedCompleter(CommandCompleter(chat)),
        complete_while_typing=True,
        history=InputHistory(chat.environment.data_dir / "history"),
        on_text_changed=lambda _: changed(),
    )


class InputHistory(FileHistory):
    """The lines typed in this and earlier runs, in a file that only the user can read.

    If the file cannot be read or written, there are only the lines of this run.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self._file = file

    def load_history_strings(self) -> Iterable[str]:
        with suppress(OSError):
            if self._is_usable():
                return list(super().load_history_strings())
        return []

    def store_string(self, string: str) -> None:
        with suppress(OSError):
            if self._is_usable():
                os.close(disk.open_in_folder(self._file, os.O_CREAT | os.O_APPEND | os.O_WRONLY))
                super().store_string(string)

    def _is_usable(self) -> bool:
        try:
            return stat.S_ISREG(self._file.lstat().st_mode)  # a link may lead anywhere, a pipe would block
        except FileNotFoundError:
            return True


async def edit_in_editor(buffer: InputBuffer, printer: Printer, report: Callable[[str], None]) -> None:
    """Edit the text in $VISUAL or $EDITOR, while no line is printed; `report` gets the error message."""
    with printer.paused():
        try:
            command = _editor_command()
            text = await run_in_terminal(lambda: _edit(command, buffer.whole_text), in_executor=True)
        except PromptObjectsError as error:
            report(str(error))
        else:
            buffer.document = Document(text)


def _editor_command() -> list[str]:
    setting = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
    try:
        words = shlex.split(setting)
    except ValueError as error:
        raise UsageError(f"$EDITOR is not a command: {setting} ({error})") from error
    default = next(filter(shutil.which, ("editor", "nano", "vi")), None)
    if not words and default is None:
        raise UsageError("no editor found: set $EDITOR")
    return words or [str(default)]


def _edit(command: list[str], text: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "message.md")
        file.write_text(text, encoding="utf-8", errors="replace")
        try:
            code = subprocess.call([*command, str(file)])  # noqa: S603 - the user's own setting
            edited = file.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise UsageError(f"{command[0]} cannot be run: {error.strerror}") from error
    if code:
        raise UsageError(f"{command[0]} ended with code {code}: the text is unchanged")
    return edited.removesuffix("\n")
