"""`PromptObject`: an entity with a definition and sessions, which answers messages."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from prompt_objects.errors import DefinitionError, PromptObjectsError, UsageError
from prompt_objects.message import Message
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.events import Event
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prompt_objects.config.definition import Definition
    from prompt_objects.environment.environment import Environment
    from prompt_objects.llm.fallback import FallbackChain
    from prompt_objects.tools.base import Tool
    from prompt_objects.turns.reply import Reply
    from prompt_objects.turns.turn import TurnInput


class PromptObject:
    """One prompt object of an environment. Its definition is read again when its file changes."""

    def __init__(self, name: str, environment: "Environment", session_manager: SessionManager) -> None:
        self.name = name
        self.session_manager = session_manager
        self._environment = environment

    def __repr__(self) -> str:
        return f"<PromptObject {self.name}>"

    @property
    def definition(self) -> "Definition":
        """The definition in its file's current version. Raises `NotFound`, and `DefinitionError` if it is invalid."""
        return self._environment.catalog[self.name]

    @property
    def definition_error(self) -> DefinitionError | None:
        """The error in the definition; None if it is valid."""
        try:
            self._environment.catalog[self.name]
        except DefinitionError as error:
            return error
        return None

    @property
    def description(self) -> str:
        """The definition's description; empty if it has none or is invalid."""
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
        """Return the reply to a message, in the Chat Completions format or as text.

        `session` is by default the one last used; without a `context` the turn is a top-level turn. Every message is
        saved before anything else happens, and the history is valid however the turn ends. Turns of one session run
        one after the other; if another process is using the session, `wait` that many seconds (None: no limit), then
        raise `Busy` without writing anything.

        Raises `UsageError` if the message is invalid, `NotFound` if the definition or the session was deleted,
        `DefinitionError`, `LLMError` or `StoreError`; `asyncio.CancelledError` if it is cancelled.
        """
        return await self._turn(_as_message(message), context, session, wait)

    async def resume(
        self, context: Context | None = None, session: Session | None = None, *, wait: float | None = 0
    ) -> "Reply":
        """Continue an interrupted turn of the session; completed tool calls are not repeated.

        Raises `UsageError` if the last message was answered.
        """
        return await self._turn("resume", context, session, wait)

    async def retry(
        self, context: Context | None = None, session: Session | None = None, *, wait: float | None = 0
    ) -> "Reply":
        """Reply to the last message of the session again; the old reply is kept, but excluded from requests."""
        return await self._turn("retry", context, session, wait)

    def receive_sync(
        self,
        message: str | Message,
        context: Context | None = None,
        session: Session | None = None,
        *,
        wait: float | None = 0,
    ) -> "Reply":
        """Call `receive` from code without an event loop; raises `UsageError` inside one."""
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            raise UsageError("receive_sync cannot be used inside an event loop.", hint="Await receive instead.")

        async def receive_once() -> "Reply":
            try:
                return await self.receive(message, context, session, wait=wait)
            finally:
                await self._environment.disconnect()

        return asyncio.run(receive_once())

    async def stream(
        self,
        message: str | Message,
        context: Context | None = None,
        session: Session | None = None,
        *,
        wait: float | None = 0,
    ) -> AsyncGenerator[Event, None]:
        """Call `receive` and yield the events of its turn and of all delegations. Raises the same errors.

        Closing the generator cancels the turn.
        """
        context = context or self._environment.context()
        turn = asyncio.create_task(self.receive(message, context, session, wait=wait))
        async with aclosing(context.services.bus.events_of(turn, context.root)) as events:
            async for event in events:
                yield event
        await turn

    async def _turn(
        self, start: "TurnInput", context: Context | None, session: Session | None, wait: float | None
    ) -> "Reply":
        from prompt_objects.turns.turn import Turn

        if session is None:
            session = await asyncio.to_thread(self.session_manager.current)
        # The lock comes first: turns run in the order in which they were requested.
        async with self._environment.session_locks.acquire(session.id, wait):
            definition, resources = await asyncio.to_thread(self._read, session)
            context = (context or self._environment.context()).enter(definition, session)
            return await Turn(definition, context, session, self.session_manager, resources).run(start)

    def change_notice(self, session: Session) -> str:
        """Return a sentence for the user about `changes`; empty if there are none. Raises no errors."""
        from prompt_objects.environment.recorded import change_notice

        with suppress(PromptObjectsError):  # the next turn shows the error
            return change_notice(self.changes(session), is_pinned=self._environment.pin)
        return ""

    def changes(self, session: Session) -> list[str]:
        """Describe what has changed since the last answer of a session: the prompt, local tools, the model.

        Empty if nothing has, if there is no answer, or if its request was not recorded. Raises `DefinitionError`.
        """
        from prompt_objects.environment.recorded import changes_since, last_frame

        environment, definition = self._environment, self.definition
        frame = last_frame(session, environment.storage.store)
        if frame is None:
            return []
        functions = {
            name: tool.as_function() for name, tool in environment.capabilities.local_tools(definition).items()
        }
        servers = [each.name for each in definition.capabilities if each.kind == "mcp"]
        model = ""
        with suppress(PromptObjectsError):
            connection = environment.models.connection_for(definition)
            model = "" if connection.is_provisional else connection.llm.model
        return changes_since(frame, definition, functions, servers, model)

    def _pinned(self, definition: "Definition", session: Session) -> "Definition":
        from prompt_objects.environment.recorded import last_frame, pinned

        environment = self._environment
        frame = last_frame(session, environment.storage.store)
        if frame is None:
            return definition
        is_restricted = environment.authority.is_restricted  # then the session may not choose among the user's models
        model = None if is_restricted else environment.models.recorded_model(frame)
        return pinned(definition, frame, model)

    def _read(self, session: Session) -> "tuple[Definition, _Resources]":
        definition, environment = self.definition, self._environment
        if environment.pin:
            definition = self._pinned(definition, session)
        # The message of a draft is already saved, in a tool call, so this may fail before it is saved here.
        local_tools = environment.capabilities.local_tools(definition) if session.is_draft else None
        return definition, _Resources(definition, environment, local_tools)


class _Resources:
    """The models and tools of a definition for one turn."""

    def __init__(
        self, definition: "Definition", environment: "Environment", local_tools: "Mapping[str, Tool] | None"
    ) -> None:
        self._definition = definition
        self._environment = environment
        self._local_tools = local_tools

    async def load(self, context: Context) -> "tuple[FallbackChain, Mapping[str, Tool]]":
        models = await self._environment.models.fallback_chain_for(self._definition, context.notify)
        return models, await self._environment.capabilities.tools(self._definition, context, self._local_tools)


def _as_message(message: str | Message) -> Message:
    if isinstance(message, str):
        return {"role": "user", "content": message}
    if message.get("role") != "user":
        raise UsageError(f"A prompt object receives messages of the role 'user', not {message.get('role')!r}.")
    return message
