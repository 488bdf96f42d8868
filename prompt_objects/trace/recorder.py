"""Records events to trace files in the background; turns neither wait for it nor fail because of it."""

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

MOST_WAITING = 10_000
"""Events that may wait for the disk; further events are dropped."""
GATHER_SECONDS = 0.05
"""How long events are collected before they are written together."""
LINGER_SECONDS = 1.0
FLUSH_SECONDS = 2.0


class Recorder:
    """Writes events, except text deltas, to the trace files of their sessions, in a thread.

    The thread ends one second after the last event. The files are not synced: a power failure may lose events, but
    never messages, which are in the store.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._reset()
        disk.after_fork_in_child(self._reset)

    def _reset(self) -> None:
        """Start empty. In a forked child, the waiting events are the parent's and the thread does not exist."""
        self._changed = threading.Condition()
        self._waiting: list[Event] = []
        self._is_flushing = False
        self._thread: threading.Thread | None = None
        self._notices: list[str] = []
        self._has_notice = False

    def put(self, event: Event) -> None:
        """Queue an event to be written; never waits for the disk or raises."""
        if isinstance(event, TextDelta):
            return
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                self._add_notice("Some events are missing in traces: the disk is too slow.")
                return
            self._waiting.append(event)
            if self._thread is None:
                self._start()
            elif len(self._waiting) == 1:  # otherwise the thread is awake, or collecting
                self._changed.notify_all()

    def _start(self) -> None:
        thread = threading.Thread(target=self._write, name="trace", daemon=True)
        with suppress(RuntimeError):  # no thread can be started now; the next event tries again
            thread.start()
            self._thread = thread
            atexit.register(self.flush)  # the program may not close its environment

    def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait until all events so far are written, at most `seconds`."""
        with self._changed:
            self._is_flushing = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting, seconds)
            self._is_flushing = False

    def notices(self) -> list[str]:
        """Return problems for the user to know, each once."""
        with self._changed:
            notices, self._notices = self._notices, []
        return notices

    def _add_notice(self, notice: str) -> None:  # only the first: a full disk fails again and again
        if not self._has_notice:
            self._has_notice = True
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
            elif not self._is_flushing:
                self._changed.wait_for(lambda: self._is_flushing, GATHER_SECONDS)
            return self._waiting[:]

    def _save(self, batch: Sequence[Event]) -> None:
        from prompt_objects.trace.log import add_lines, line_of

        lines: defaultdict[str, bytearray] = defaultdict(bytearray)
        for event in batch:
            if is_id(event.session_id):
                with suppress(UsageError):  # it cannot be written as JSON
                    lines[event.session_id] += line_of(event)
        for session_id, added in lines.items():
            path = trace_file(self._data_dir, session_id)
            try:
                add_lines(path, bytes(added))
            except OSError as error:
                self._report(disk.store_error("written", path, error))

    def _report(self, failure: StoreError) -> None:
        with self._changed:
            self._add_notice(f"Traces are not recorded: {failure} {failure.hint}")
