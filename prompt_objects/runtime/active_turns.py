"""The running turns of this process."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prompt_objects.errors import Stopped
from prompt_objects.message import Message
from prompt_objects.utils.time import now, timestamp

if TYPE_CHECKING:
    from prompt_objects.sessions.session import Session
    from prompt_objects.sessions.steering import SteeringQueue


class ActiveTurn:
    """A running turn, created in its own task. Thread-safe.

    `path` names the prompt objects from the top-level turn to this one.
    """

    def __init__(self, path: tuple[str, ...], session: "Session", steering: "SteeringQueue") -> None:
        self.path = path
        self.session = session
        self.since = now()
        self._steering = steering
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task else 0
        self._messages: list[Message] = []
        self._accepts_messages = True
        self._can_be_stopped = True
        self._is_stopped = False
        self._lock = threading.Lock()

    @property
    def po_name(self) -> str:
        return self.path[-1]

    @property
    def waiting(self) -> list[str]:
        """The texts of the steering messages that it has not read yet."""
        return [message["content"] for message in self._messages]

    def steer(self, text: str) -> bool:
        """Add a message that the turn reads before its next request; return False if the turn does not take it.

        The message is kept durably until it is in the session. A turn takes no messages while its session is not
        saved yet, and after its end. Raises `StoreError`; then the turn does not read the message.
        """
        with self._lock:
            accepted = self._accepts_messages and not self.session.is_draft  # a draft may never be saved
            if accepted:
                message = {"role": "user", "content": text, "at": timestamp(), "steers": True}
                self._steering.add(message)
                self._messages.append(message)
            return accepted

    def stop(self) -> None:
        """Stop this turn and its delegations; its caller gets an error and continues."""
        self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if self._accepts_messages and self._can_be_stopped and not self._is_stopped and self._task:
            self._is_stopped = True
            self._task.cancel()

    # Called by the turn itself

    def take_steering(self) -> list[Message]:
        """Return the steering messages that came since the last call."""
        with self._lock:
            messages, self._messages = self._messages, []
        return messages

    def try_finish(self) -> bool:
        """Accept no more messages, unless there is an unread one; return whether the turn may end."""
        with self._lock:
            self._accepts_messages = bool(self._messages)
            return not self._accepts_messages

    def close(self) -> None:
        """Ignore `stop` from now on, so that it does not interrupt the completion of the history."""
        self._can_be_stopped = False

    def end(self) -> list[Message]:
        """Accept no more messages; return the unread ones."""
        with self._lock:
            self._accepts_messages = False
        return self.take_steering()

    def check_stopped(self, cancelled: asyncio.CancelledError) -> None:
        """Raise `Stopped` if only `stop` has cancelled the task, as `asyncio.timeout` does."""
        if self._is_stopped and self._task and self._task.uncancel() <= self._cancelling:
            raise Stopped(
                f"The user stopped {self.po_name} before it replied. Continue without its reply; do not ask it again."
            ) from cancelled


class ActiveTurns:
    """All running turns of an environment in this process, the oldest first."""

    def __init__(self) -> None:
        self._turns: list[ActiveTurn] = []

    def __iter__(self) -> Iterator[ActiveTurn]:
        return iter(tuple(self._turns))

    def in_session(self, session_id: str) -> ActiveTurn | None:
        return next((turn for turn in self if turn.session.id == session_id), None)

    def of(self, po_name: str) -> list[ActiveTurn]:
        return [turn for turn in self if turn.po_name == po_name]

    @contextmanager
    def registered(self, turn: ActiveTurn) -> Iterator[None]:
        """Register a turn during a `with` block."""
        self._turns.append(turn)
        try:
            yield
        finally:
            self._turns.remove(turn)
