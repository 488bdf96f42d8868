"""The person at an environment, who can be asked: one question at a time, whoever has them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import TypeAlias
from weakref import WeakKeyDictionary

from msgspec import Struct

from prompt_objects.runtime.budget import Budget

__all__ = [
    "InputHandler",
    "InputRequest",
    "UserInteraction",
]


class InputRequest(Struct, frozen=True, kw_only=True):
    """Something that a prompt object wants to know: whose question it is and by whom that one was asked (`path`).

    `choices` are answers that it suggests; any other may be given.
    """

    path: tuple[str, ...]
    session_id: str
    question: str
    choices: tuple[str, ...] = ()

    def resolve(self, typed: str) -> str:
        """Return what an answer means: one of the choices, by its number or in other capitals, or what it says."""
        said = typed.strip()
        if said.isdecimal() and 1 <= int(said) <= len(self.choices):
            return self.choices[int(said) - 1]
        return next((choice for choice in self.choices if choice.casefold() == said.casefold()), said)


InputHandler: TypeAlias = Callable[[InputRequest], Awaitable[str]]
"""Asks a person, and returns what was typed; nothing where the person does not answer."""


class UserInteraction:
    """Who can be asked. `ask` asks; None where there is nobody."""

    def __init__(self) -> None:
        self.ask: InputHandler | None = None
        self._attention: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    @asynccontextmanager
    async def exclusive(self, budget: Budget | None) -> AsyncIterator[None]:
        """Have the person to oneself for a block, whose time counts for no limit."""
        # A lock belongs to the loop in which somebody first had to wait for it, and a person outlives loops.
        lock = self._attention.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        with budget.paused() if budget else nullcontext():
            async with lock:
                yield
