"""Keeping what happens, beside the turns that it happens in: none waits for it, and none fails of it."""

import atexit
import threading
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from prompt_objects.errors import StoreError, UsageError
from prompt_objects.runtime.events import Event, TextDelta
from prompt_objects.sessions.names import is_id
from prompt_objects.sessions.workspace import trace_file
from prompt_objects.utils import filesystem as disk

__all__ = [
    "Recorder",
]

MOST_WAITING = 10_000
"""Events that may wait for the disk; what happens beyond them is not kept."""
GATHER_SECONDS = 0.05
"""So long what happens is gathered, to be written together."""
LINGER_SECONDS = 1.0
FLUSH_SECONDS = 2.0


class Recorder:
    """Writes every event that it is given, but text deltas, to the trace of its session, in a thread of its own.

    The thread is there only while there is something to write, and a second longer. Nothing is synced: the store is
    the truth, and what a crash of the machine takes away here is only news.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._begin()
        disk.after_fork_in_child(self._begin)

    def _begin(self) -> None:
        """Have nothing to write, as in a forked child, where what waits is the parent's, and there is no thread."""
        self._changed = threading.Condition()
        self._waiting: list[Event] = []
        self._is_awaited = False
        self._thread: threading.Thread | None = None
        self._notices: list[str] = []
        self._has_told = False

    def put(self, event: Event) -> None:
        """Take an event to be written; neither waits for the disk nor raises."""
        if isinstance(event, TextDelta):
            return
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                self._tell("Some of what happened is missing in traces: the disk is too slow for it.")
                return
            self._waiting.append(event)
            if self._thread is None:
                self._start()
            elif len(self._waiting) == 1:  # for more it is awake, or would wake only to wait on
                self._changed.notify_all()

    def _start(self) -> None:
        thread = threading.Thread(target=self._write, name="trace", daemon=True)
        with suppress(RuntimeError):  # no more threads are to be had: perhaps for the next event
            thread.start()
            self._thread = thread
            atexit.register(self.flush)  # a program need not close its environment

    def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait until what happened so far is written, but no longer than so many seconds."""
        with self._changed:
            self._is_awaited = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting, seconds)
            self._is_awaited = False

    def notices(self) -> list[str]:
        """Return, once, what a person should know: that what happens cannot be kept."""
        with self._changed:
            told, self._notices = self._notices, []
        return told

    def _tell(self, notice: str) -> None:
        """Say it once: a full disk refuses again and again."""
        if not self._has_told:
            self._has_told = True
            self._notices.append(notice)

    def _write(self) -> None:
        while batch := self._next_batch():
            self._save(batch)
            with self._changed:
                del self._waiting[: len(batch)]
                self._changed.notify_all()

    def _next_batch(self) -> list[Event]:
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting, LINGER_SECONDS):
                self._thread = None
                atexit.unregister(self.flush)
            elif not self._is_awaited:
                self._changed.wait_for(lambda: self._is_awaited, GATHER_SECONDS)
            return self._waiting[:]

    def _save(self, batch: Sequence[Event]) -> None:
        from prompt_objects.trace.log import add_lines, line_of

        lines: defaultdict[str, bytearray] = defaultdict(bytearray)
        for event in batch:
            if is_id(event.session_id):
                with suppress(UsageError):  # not even JSON can say it
                    lines[event.session_id] += line_of(event)
        for session_id, added in lines.items():
            path = trace_file(self._data_dir, session_id)
            try:
                add_lines(path, bytes(added))
            except OSError as error:
                self._tell_of(disk.store_error("written", path, error))

    def _tell_of(self, failure: StoreError) -> None:
        with self._changed:
            self._tell(f"What happens is not kept for traces: {failure} {failure.hint}")
