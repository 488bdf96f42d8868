"""The turns that are under way in this process, and what a person may do to one of them: add a word, or stop it."""

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
    from prompt_objects.sessions.workspace import SteeringQueue

__all__ = [
    "ActiveTurn",
    "ActiveTurns",
]


class ActiveTurn:
    """A turn that is under way, made in the task that carries it out; it may be used from every thread.

    `path` names the prompt objects from the one that the person talks to down to the one whose turn it is.
    """

    def __init__(self, path: tuple[str, ...], session: "Session", unread: "SteeringQueue") -> None:
        self.path = path
        self.session = session
        self._unread = unread
        self.since = now()
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task else 0
        self._words: list[Message] = []
        self._is_open = True
        self._is_going_on = True
        self._is_stopped = False
        self._changing = threading.Lock()

    @property
    def po_name(self) -> str:
        """The prompt object whose turn it is."""
        return self.path[-1]

    @property
    def waiting(self) -> list[str]:
        """The texts that it has not read yet."""
        return [message["content"] for message in self._words]

    def steer(self, text: str) -> bool:
        """Have it read a message before it goes on; False where nobody would: it has just ended, or not quite begun.

        The message is kept durably until it stands in the session. Raises `StoreError`, and it is not read.
        """
        with self._changing:
            is_there = self._is_open and not self.session.is_draft  # what is kept for a draft might outlive it
            if is_there:
                message = {"role": "user", "content": text, "at": timestamp(), "steers": True}
                self._unread.add(message)
                self._words.append(message)
            return is_there

    def stop(self) -> None:
        """Stop this turn alone, with all that it asked: whoever asked it is told so, and goes on."""
        self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if self._is_open and self._is_going_on and not self._is_stopped and self._task:
            self._is_stopped = True
            self._task.cancel()

    # What the turn itself does

    def take_steering(self) -> list[Message]:
        """Take the messages that came since the last look."""
        with self._changing:
            words, self._words = self._words, []
        return words

    def try_finish(self) -> bool:
        """Take no more messages, unless there is one that was not read yet."""
        with self._changing:
            self._is_open = bool(self._words)
            return not self._is_open

    def close(self) -> None:
        """Go on no more: a stop has nothing left to do, and would only get in the way of what is tidied up."""
        self._is_going_on = False

    def end(self) -> list[Message]:
        """Take no more messages, and return those that were not read."""
        with self._changing:
            self._is_open = False
        return self.take_steering()

    def check_stopped(self, cancelled: asyncio.CancelledError) -> None:
        """Raise `Stopped` where a cancellation came of `stop`, and of nothing else; as `asyncio.timeout` does it."""
        if self._is_stopped and self._task and self._task.uncancel() <= self._cancelling:
            told = f"The person stopped {self.po_name} before it answered."
            raise Stopped(f"{told} Go on without it; do not ask it the same again.") from cancelled


class ActiveTurns:
    """All turns that are under way in an environment, in this process."""

    def __init__(self) -> None:
        self._turns: list[ActiveTurn] = []

    def __iter__(self) -> Iterator[ActiveTurn]:
        """Yield them, the first that began first."""
        return iter(tuple(self._turns))

    def in_session(self, session_id: str) -> ActiveTurn | None:
        """Return the turn that is under way in a session, if one is."""
        return next((turn for turn in self if turn.session.id == session_id), None)

    def of(self, po_name: str) -> list[ActiveTurn]:
        """Return the turns of a prompt object."""
        return [turn for turn in self if turn.po_name == po_name]

    @contextmanager
    def registered(self, turn: ActiveTurn) -> Iterator[None]:
        """List a turn for the length of a `with` block."""
        self._turns.append(turn)
        try:
            yield
        finally:
            self._turns.remove(turn)
