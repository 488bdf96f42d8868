"""Locks by which a session has one turn at a time, in all processes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from weakref import WeakValueDictionary

from prompt_objects.errors import Busy
from prompt_objects.sessions.stores.base import Store
from prompt_objects.sessions.stores.lease import Lease, ProcessInfo, take_lease
from prompt_objects.utils.concurrency import uninterrupted

_FIRST_PAUSE, _MAX_PAUSE = 0.05, 0.5


class SessionLocks:
    """Locks by which the sessions of a store have one turn at a time, in all processes.

    In one event loop, turns run in the order in which they were requested; between processes there is no order.
    `user` is the name that other processes see.
    """

    def __init__(self, store: Store, user: str | None = None) -> None:
        self._store = store
        self._user = user
        self._locks: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def acquire(self, session_id: str, wait: float | None = 0) -> AsyncIterator[None]:
        """Lock a session during an `async with` block, after the earlier turns of this event loop.

        If another process or event loop has it, wait up to `wait` seconds (None: no limit), then raise `Busy`.
        """
        key = (id(asyncio.get_running_loop()), session_id)
        async with self._locks.setdefault(key, asyncio.Lock()):
            leases: list[Lease] = []
            try:
                await self._take_lease(session_id, wait, leases)
                yield
            finally:
                for lease in leases:
                    await uninterrupted(asyncio.to_thread(lease.release))

    async def _take_lease(self, session_id: str, wait: float | None, leases: list[Lease]) -> None:
        """Add the lease to `leases`, where the caller finds it even if this was cancelled just then."""

        def attempt() -> None:
            leases.append(take_lease(self._store, session_id, ProcessInfo.current(self._user)))

        end = inf if wait is None else time.monotonic() + wait
        pause = _FIRST_PAUSE
        while True:
            try:
                return await uninterrupted(asyncio.to_thread(attempt))
            except Busy:
                left = end - time.monotonic()
                if left <= 0:
                    raise
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, _MAX_PAUSE)
