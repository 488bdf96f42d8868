"""Who is at a session: its turns go one after the other, of this process and of all others, and others may look on.

In one event loop turns go in the order in which they came. Between processes and machines there is no order: whoever
asks when the session is free has it.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from weakref import WeakValueDictionary

from prompt_objects.errors import Busy
from prompt_objects.sessions.stores.base import Lease, Store
from prompt_objects.utils.concurrency import uninterrupted
from prompt_objects.utils.process import ProcessInfo

__all__ = [
    "SessionLocks",
]

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5


class SessionLocks:
    """Gives each session of a store to one turn at a time; `user` is who it is for, where that is known."""

    def __init__(self, store: Store, user: str | None = None) -> None:
        self._store = store
        self._user = user
        self._queues: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def acquire(self, session_id: str, wait: float | None = 0) -> AsyncIterator[None]:
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
                    await uninterrupted(asyncio.to_thread(lease.release))

    def _queue(self, session_id: str) -> asyncio.Lock:
        return self._queues.setdefault((id(asyncio.get_running_loop()), session_id), asyncio.Lock())

    async def _take(self, session_id: str, wait: float | None, taken: list[Lease]) -> None:
        """Put the lease into `taken`, where it is found also after a cancellation in the moment of taking it."""

        def attempt() -> None:
            taken.append(self._store.lease(session_id, ProcessInfo.current(self._user)))

        end = inf if wait is None else time.monotonic() + wait
        pause = FIRST_PAUSE
        while True:
            try:
                return await uninterrupted(asyncio.to_thread(attempt))
            except Busy:
                left = end - time.monotonic()
                if left <= 0:
                    raise
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, LONGEST_PAUSE)
