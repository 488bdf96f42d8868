"""A program in a real pseudo-terminal, and the screen that the user would see."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import pyte
from ptyprocess import PtyProcess

from tests.support.forked import ForkedPty, can_fork

KEYS = {
    "enter": "\r",
    "ctrl-c": "\x03",
    "ctrl-d": "\x04",
    "ctrl-j": "\n",
    "ctrl-r": "\x12",
    "alt-enter": "\x1b\r",
    "escape": "\x1b",
    "tab": "\t",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "backspace": "\x7f",
}


class Terminal:
    """Runs a program on a screen of `columns` and `rows`, and keeps the scrollback."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 80,
        rows: int = 24,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=5000, ratio=1)
        self.raw = b""
        self._stream = pyte.ByteStream(self.screen)
        self._lock = threading.Lock()
        self._text: str | None = ""  # of the scrollback and the screen; None if it has changed
        plain = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "STY": "pyte"}  # pyte does not wrap lines again
        environ = {**os.environ, **plain, **(env or {})}
        words, dimensions = list(command), (rows, columns)
        self.process: PtyProcess | ForkedPty
        if words[:2] == [sys.executable, "-m"] and can_fork(env or {}):
            self.process = ForkedPty(*words[2:], cwd=cwd, environ=environ, dimensions=dimensions)
        else:
            self.process = PtyProcess.spawn(words, dimensions=dimensions, env=environ, cwd=cwd)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.isalive():
            self.process.kill(signal.SIGKILL)
            self.process.wait()
        self._reader.join(5)
        self.process.close()

    def _read(self) -> None:
        while True:
            try:
                piece = self.process.read(65536)
            except (EOFError, OSError, ValueError):
                return
            with self._lock:
                self.raw += piece
                self._text = None
                self._stream.feed(piece)

    def send(self, text: str) -> None:
        """Type a text."""
        self.process.write(text.encode())

    def press(self, *keys: str) -> None:
        """Press keys by name, one after another."""
        for key in keys:
            self.send(KEYS[key])

    def paste(self, text: str) -> None:
        """Paste a text, as a terminal with bracketed paste does."""
        self.send(f"\x1b[200~{text}\x1b[201~")

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the window."""
        with self._lock:
            self.screen.resize(rows, columns)
            self._text = None
        self.process.setwinsize(rows, columns)
        self.process.kill(signal.SIGWINCH)

    def lines(self) -> list[str]:
        """Return the lines of the screen."""
        with self._lock:
            return [line.rstrip() for line in self.screen.display]

    def text(self) -> str:
        """Return the text of the scrollback and the screen."""
        with self._lock:
            if self._text is None:
                above = [
                    "".join(row[column].data for column in range(self.screen.columns)).rstrip()
                    for row in self.screen.history.top
                ]
                self._text = "\n".join([*above, *(line.rstrip() for line in self.screen.display)]).rstrip()
            return self._text

    def wait_for(self, text: str, timeout: float = 10) -> None:
        """Wait for a text; the `AssertionError` shows the screen if it does not appear."""
        self.wait_until(lambda: text in self.text(), repr(text), timeout)

    def wait_gone(self, text: str, timeout: float = 10) -> None:
        """Wait until a text is gone from the screen for longer than a redraw takes."""
        last_seen = time.monotonic()

        def is_gone() -> bool:
            nonlocal last_seen
            if text in "\n".join(self.lines()):
                last_seen = time.monotonic()
            return time.monotonic() - last_seen > 0.3

        self.wait_until(is_gone, f"the end of {text!r}", timeout)

    def wait_until(self, condition: Callable[[], bool], what: str, timeout: float = 10) -> None:
        """Wait for a condition."""
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"waited {timeout} s for {what}; the screen:\n{self.text()}")
            time.sleep(0.02)

    def wait_for_exit(self, timeout: float = 10) -> int:
        """Wait until the program has ended, and return its exit code."""
        self.wait_until(lambda: not self.process.isalive(), "the program to end", timeout)
        return int(self.process.exitstatus)


PROGRAM = (sys.executable, "-m", "prompt_objects")
