"""When the keys rest: what is typed while a question comes up was not meant for it."""

import asyncio
from time import monotonic

__all__ = ["REST_SECONDS", "Rest"]

REST_SECONDS = 0.7
"""Longer than the pauses of somebody who types, and about as long as it takes to see that something is asked."""


class Rest:
    """Knows when a key was last pressed."""

    def __init__(self) -> None:
        self._since = monotonic()

    def touch(self) -> None:
        """Note that a key was pressed."""
        self._since = monotonic()

    async def taken(self) -> None:
        """Wait, from now on, until no key was pressed for `REST_SECONDS`."""
        self.touch()
        left = REST_SECONDS
        while left > 0:
            await asyncio.sleep(left)
            left = self._since + REST_SECONDS - monotonic()
