"""Who is at a session: its turns go one after the other, of this process and of all others, and others may look on.

In one event loop turns go in the order in which they came. Between processes and machines there is no order: whoever
asks when the session is free has it.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from weakref import WeakValueDictionary

from msgspec import Struct

from prompt_objects.errors import Busy
from prompt_objects.holder import Holder
from prompt_objects.message import Message, calls_of
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores import Lease, Store
from prompt_objects.waiting import to_the_end

__all__ = ["Occupancy", "Sight", "branch_aside", "look", "watch"]

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5
WATCH_SECONDS = 0.25


class Occupancy:
    """Gives each session of a store to one turn at a time; `user` is who it is for, where that is known."""

    def __init__(self, store: Store, user: str | None = None) -> None:
        self._store = store
        self._user = user
        self._queues: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, session_id: str, wait: float | None = 0) -> AsyncIterator[None]:
        """Have a session for the length of an `async with` block, after the turns of this event loop before it.

        Where another process, or another event loop, is at it, wait so many seconds, or with None as long as it
        takes; then raise `Busy`.
        """
        async with self._queue(session_id):
            taken: list[Lease] = []
            try:
                await self._take(session_id, wait, taken)
                yield
            finally:
                for lease in taken:
                    await to_the_end(asyncio.to_thread(lease.release))

    def _queue(self, session_id: str) -> asyncio.Lock:
        return self._queues.setdefault((id(asyncio.get_running_loop()), session_id), asyncio.Lock())

    async def _take(self, session_id: str, wait: float | None, taken: list[Lease]) -> None:
        """Put the lease into `taken`, where it is found also after a cancellation in the moment of taking it."""

        def attempt() -> None:
            taken.append(self._store.lease(session_id, Holder.here(self._user)))

        end = inf if wait is None else time.monotonic() + wait
        pause = FIRST_PAUSE
        while True:
            try:
                return await to_the_end(asyncio.to_thread(attempt))
            except Busy:
                left = end - time.monotonic()
                if left <= 0:
                    raise
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, LONGEST_PAUSE)


class Sight(Struct, frozen=True):
    """What is seen of a session: what others added since it was last looked at here, and who is at it."""

    came: list[Message]
    holder: Holder | None


def look(store: Store, session: Session) -> Sight:
    """Look at a session once; raises what `Session.refresh` raises."""
    holder = store.holder(session.id)  # before: whoever is gone by now has written all that there is to come
    return Sight(session.refresh(), holder)


async def watch(store: Store, session: Session) -> AsyncGenerator[list[Message], None]:
    """Yield the messages that come while somebody is at a session, until nobody is."""
    while True:
        sight = await asyncio.to_thread(look, store, session)
        if sight.came:
            yield sight.came
        if sight.holder is None:
            return
        await asyncio.sleep(WATCH_SECONDS)


def branch_aside(manager: SessionManager, session: Session) -> Session:
    """Branch off a session that somebody is at, before the message that is being answered, if one is."""
    session.refresh()
    return manager.branch(session.id, _answered(session))


def _answered(session: Session) -> int:
    """Return how many messages there are before one that has no answer yet."""
    count = session.message_count
    if not count or _is_answer(session.tail(1)[0]):
        return count
    asked = [number for number, message in enumerate(session.history) if message.get("role") == "user"]
    return asked[-1] if asked else count


def _is_answer(message: Message) -> bool:
    return message.get("role") == "assistant" and not calls_of(message)
