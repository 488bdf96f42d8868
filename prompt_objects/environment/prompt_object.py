"""A prompt object: it understands one thing, a message."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Protocol

from prompt_objects.errors import DefinitionError, UsageError
from prompt_objects.message import Message
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.events import Event
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prompt_objects.config.definition import Definition
    from prompt_objects.runtime.session_lock import SessionLocks
    from prompt_objects.tools.base import Tool
    from prompt_objects.turns.turn import Reply, TurnInput, TurnResources

__all__ = [
    "Host",
    "PromptObject",
]


class Host(Protocol):
    """What a prompt object needs of its environment."""

    def definition(self, name: str) -> "Definition":
        """Return the definition as its file now stands; raises `DefinitionError`."""

    def local_tools(self, definition: "Definition") -> "Mapping[str, Tool]":
        """Return the capabilities that a definition names, but those of MCP servers; raises `DefinitionError`."""

    async def load_resources(
        self, definition: "Definition", context: Context, own_tools: "Mapping[str, Tool] | None" = None
    ) -> "TurnResources":
        """Return the models that a definition asks for, and all capabilities that it names.

        `own_tools` are not looked for again where they are known. Raises `UsageError` where no model is set up, and
        `DefinitionError`.
        """

    @property
    def session_locks(self) -> "SessionLocks":
        """By which the turns of a session go one after the other."""

    def context(self) -> Context:
        """Make a root context."""

    async def disconnect(self) -> None:
        """Let go of every connection; they are made again when needed."""


class PromptObject:
    """One entity of an environment, made live; its definition is read again whenever its file changes."""

    def __init__(self, name: str, host: Host, session_manager: SessionManager) -> None:
        self.name = name
        self.session_manager = session_manager
        self._host = host

    def __repr__(self) -> str:
        return f"<PromptObject {self.name}>"

    @property
    def definition(self) -> "Definition":
        """The definition as its file now stands; raises `DefinitionError` where that is faulty."""
        return self._host.definition(self.name)

    @property
    def fault(self) -> DefinitionError | None:
        """What is wrong with the definition, if anything is."""
        try:
            self._host.definition(self.name)
        except DefinitionError as error:
            return error
        return None

    @property
    def description(self) -> str:
        """What it says it is for; empty where it says nothing, or is faulty."""
        try:
            return self.definition.description
        except DefinitionError:
            return ""

    async def receive(
        self,
        message: str | Message,
        context: Context | None = None,
        session: Session | None = None,
        *,
        wait: float | None = 0,
    ) -> "Reply":
        """Take a message, in the chat form or as its text, and answer it.

        The history is `session`'s, by default the one last used; without a context a root context is made. Every
        message is in the store before anything follows from it, and the history is valid however the turn ends.
        Turns of one session wait for one another in an event loop; where another process is at it, `wait` is for how
        many seconds its end is waited for, None for as long as it takes. Then `Busy` is raised, and nothing written.

        Raises `UsageError` for what is no message, `NotFound` where the definition or the session is gone,
        `DefinitionError`, `LLMError` or `StoreError`; `asyncio.CancelledError` when it is cancelled.
        """
        return await self._turn(_as_message(message), context, session, wait)

    async def resume(
        self, context: Context | None = None, session: Session | None = None, *, wait: float | None = 0
    ) -> "Reply":
        """Go on in a session whose last turn was interrupted before it answered; what had been done counts.

        Raises `UsageError` where there is nothing to go on with.
        """
        return await self._turn("resume", context, session, wait)

    async def retry(
        self, context: Context | None = None, session: Session | None = None, *, wait: float | None = 0
    ) -> "Reply":
        """Answer the last message of the session anew; the old answer stays in the file but no longer counts."""
        return await self._turn("retry", context, session, wait)

    def receive_sync(
        self,
        message: str | Message,
        context: Context | None = None,
        session: Session | None = None,
        *,
        wait: float | None = 0,
    ) -> "Reply":
        """Do what `receive` does, for scripts that have no event loop; raises `UsageError` inside one."""
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            raise UsageError("receive_sync cannot be used inside an event loop.", hint="Await receive instead.")
        return asyncio.run(self._receive_once(message, context, session, wait))

    async def _receive_once(
        self, message: str | Message, context: Context | None, session: Session | None, wait: float | None
    ) -> "Reply":
        try:
            return await self.receive(message, context, session, wait=wait)
        finally:
            await self._host.disconnect()

    async def stream(
        self,
        message: str | Message,
        context: Context | None = None,
        session: Session | None = None,
        *,
        wait: float | None = 0,
    ) -> AsyncGenerator[Event, None]:
        """Do what `receive` does, and yield what happens meanwhile, here and in every turn below.

        Closing the generator cancels the turn. Raises what `receive` raises.
        """
        context = context or self._host.context()
        turn = asyncio.create_task(self.receive(message, context, session, wait=wait))
        async with aclosing(context.bus.events_of(turn, context.root)) as events:
            async for event in events:
                yield event
        await turn

    async def _turn(
        self, start: "TurnInput", context: Context | None, session: Session | None, wait: float | None
    ) -> "Reply":
        from prompt_objects.turns.turn import Turn

        if session is None:
            session = await asyncio.to_thread(self.session_manager.current)
        async with self._host.session_locks.acquire(
            session.id, wait
        ):  # before anything is waited for: they go as they came
            definition, own_tools = await asyncio.to_thread(self._read, session)
            context = (context or self._host.context()).enter(definition, session)
            turn = Turn(definition, context, session, self.session_manager)
            return await turn.run(start, lambda: self._host.load_resources(definition, context, own_tools))

    def _read(self, session: Session) -> "tuple[Definition, Mapping[str, Tool] | None]":
        """Read the definition; the capabilities, too, where the message is one of a call, and stands there already.

        What a person says is saved before anything may fail.
        """
        definition = self.definition
        return definition, self._host.local_tools(definition) if session.is_draft else None


def _as_message(message: str | Message) -> Message:
    if isinstance(message, str):
        return {"role": "user", "content": message}
    if message.get("role") != "user":
        raise UsageError(f"A prompt object receives messages of the role 'user', not {message.get('role')!r}.")
    return message
