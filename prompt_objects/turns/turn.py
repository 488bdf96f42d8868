"""A turn: takes a message, runs the loop of model requests and tool calls, and returns the reply.

The store is the truth: every message is saved, durably, before anything else happens. However a turn ends (with a
reply, by an error, by the user), every tool call in the history has a result.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, Protocol, TypeAlias

from msgspec.structs import replace

from prompt_objects.config.definition import Definition
from prompt_objects.errors import LimitReached, PromptObjectsError, UsageError
from prompt_objects.llm.fallback import FallbackChain
from prompt_objects.message import OUTCOME_UNKNOWN, Message, is_unfinished, result_of, role_of, unanswered_calls
from prompt_objects.runtime.active_turns import ActiveTurn
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.events import ExternalMessages, TurnEnded, TurnStarted
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.steering import SteeringQueue
from prompt_objects.tools.base import Tool
from prompt_objects.turns.message_writer import MessageWriter
from prompt_objects.turns.model_calls import ModelCalls
from prompt_objects.turns.reply import Reply
from prompt_objects.turns.tool_calls import NOT_RUN, ToolCalls
from prompt_objects.utils import waiting
from prompt_objects.utils.concurrency import uninterrupted
from prompt_objects.utils.text import pluralize
from prompt_objects.utils.time import timestamp

TurnInput: TypeAlias = Message | Literal["retry", "resume"]
"""A new message; or reply to the last message again, or continue an interrupted turn."""


class TurnResources(Protocol):
    """The models and tools of a turn."""

    async def load(self, context: Context) -> tuple[FallbackChain, Mapping[str, Tool]]:
        """Return the models to try, and the tools by name. Raises `UsageError` and `DefinitionError`."""


class Turn:
    """The state of one `receive`; simultaneous turns share only the services of their contexts, such as the store."""

    def __init__(
        self,
        definition: Definition,
        context: Context,
        session: Session,
        session_manager: SessionManager,
        resources: TurnResources,
    ) -> None:
        assert context.budget is not None  # noqa: S101 - set by `Context.enter`
        self._writer = MessageWriter(context, session, session_manager)
        self._context = replace(context, save=self._writer.save)
        self._session = session
        self._resources = resources
        self._budget = context.budget
        self._parallel = definition.limits.parallel
        self._steering = SteeringQueue(context.services.workspace, session.id)
        self._active = ActiveTurn(context.path, session, self._steering)
        self._model_calls = ModelCalls(definition, context, session, self._budget, self._writer.save)
        self._tool_calls: ToolCalls | None = None  # of the last response

    async def run(self, start: TurnInput) -> Reply:
        """Reply to a message, reply to the last one again, or continue an interrupted turn.

        The message is saved before a model or an MCP server is contacted. Raises `LLMError`, `StoreError`,
        `LimitReached` for the limit of a turn above, `Stopped` if the user stopped only this turn, or
        `asyncio.CancelledError`, each after the history was completed.
        """
        self._context.publish(TurnStarted, call_id=self._context.call_id)
        with self._context.services.active_turns.registered(self._active), waiting.work() as work:
            try:
                await self._save_opening_messages(start)
                models, tools = await self._resources.load(self._context)
                reply = await self._run_loop(models, tools)
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError):
                    work.give_up()
                await self._clean_up(error)
                raise
        self._context.publish(TurnEnded, outcome="answered")
        return reply

    async def _save_opening_messages(self, start: TurnInput) -> None:
        external: list[Message] = []
        is_draft = self._session.is_draft

        def read() -> list[Message]:
            if not is_draft:
                external.extend(self._session.refresh())
            return self._opening_messages(start)

        try:
            messages = read() if is_draft else await asyncio.to_thread(read)
        finally:
            if external and self._context.parent is None:
                self._context.publish(ExternalMessages, messages=external)
        await self._save(messages)
        if unknown := sum(message.get("role") == "tool" for message in messages):
            text = "Calls of an interrupted turn without a result, now marked as unknown"
            self._context.notify(f"{text}: {pluralize(unknown, 'call')}.")

    def _opening_messages(self, start: TurnInput) -> list[Message]:
        """Return results for interrupted calls, undelivered steering messages, then the new message."""
        history, steering = self._session.history, _as_read(self._steering.undelivered(self._session))
        if start == "retry":
            self._rewind_for_retry([*history, *steering])
            return steering
        results = [result_of(call, OUTCOME_UNKNOWN, failed=None) for call in unanswered_calls(history)]
        if start != "resume":
            return [*results, *steering, start]
        if not is_unfinished([*history, *steering]):
            raise UsageError(
                "Nothing to resume: the last message was answered.",
                hint="/retry replies to the last message again, even if the reply was cut off.",
            )
        return [*results, *steering]

    def _rewind_for_retry(self, history: list[Message]) -> None:
        """Exclude the reply to the last message of the user from requests; it stays in the history."""
        asked = [index for index, message in enumerate(history) if role_of(message) == "user"]
        if not asked:
            raise UsageError("There is nothing to reply to yet.", hint="Send a message first.")
        if asked[-1] + 1 < len(history):
            self._model_calls.replaces = (asked[-1] + 1, len(history))

    async def _save(self, messages: Sequence[Message]) -> None:
        await self._writer.save(*messages)
        if any("steers" in message for message in messages):
            await asyncio.to_thread(self._steering.remove, messages)

    async def _run_loop(self, models: FallbackChain, tools: Mapping[str, Tool]) -> Reply:
        """Alternate requests and tool calls until there is a reply or a limit is reached."""
        try:
            while True:
                await self._save(_as_read(self._active.take_steering()))
                message = await self._model_calls.complete(models, list(tools.values()))
                if calls := self._writer.last_calls:
                    self._tool_calls = ToolCalls(calls, self._context, self._budget, tools, self._parallel)
                    while results := await self._tool_calls.next_results():
                        await self._writer.save(*results)
                    self._tool_calls = None  # some models number the calls of each response from 1
                elif self._active.try_finish():
                    return self._reply(message)
        except LimitReached as limit:
            if limit.budget is not self._budget:  # handled by the turn that has this limit
                raise
            self._context.notify(f"{limit} Its final reply follows.")
            message = await self._model_calls.complete(models, [], limit)
            await self._save_late_messages()
            return self._reply(message)

    def _reply(self, message: Message) -> Reply:
        return Reply.of(message, self._session, self._model_calls.usage)

    async def _save_late_messages(self) -> None:
        if messages := self._active.end():
            await self._save(messages)
            self._context.notify(
                f"{pluralize(len(messages), 'message')} arrived too late for this reply. To reply to them: /continue"
            )

    async def _clean_up(self, error: BaseException) -> None:
        """Complete the history after an error; raises `Stopped` if the user stopped this turn."""
        self._active.close()
        cancelled = isinstance(error, asyncio.CancelledError)
        if cancelled and isinstance(error.__cause__, PromptObjectsError):
            self._context.notify(f"Not saved: {error.__cause__}")
        try:
            await uninterrupted(self._complete_history())
        finally:
            self._context.publish(TurnEnded, outcome="cancelled" if cancelled else "failed", error=str(error))
        if isinstance(error, asyncio.CancelledError):
            self._active.check_stopped(error)

    async def _complete_history(self) -> None:
        """Stop the running calls and save a result for every call that has none."""
        if self._tool_calls:
            await self._tool_calls.stop()
        with suppress(PromptObjectsError):  # a message whose write failed may be on disk after all
            await asyncio.to_thread(self._session.refresh)
        missing = await asyncio.to_thread(lambda: unanswered_calls(self._session.history))
        await self._writer.save(*map(self._result_so_far, missing))
        await self._save(self._active.end())

    def _result_so_far(self, call: dict[str, Any]) -> Message:
        if call not in self._writer.last_calls:  # left by an earlier turn
            return result_of(call, OUTCOME_UNKNOWN, failed=None)
        return self._tool_calls.result_so_far(call) if self._tool_calls else result_of(call, NOT_RUN, failed=True)


def _as_read(steering: Sequence[Message]) -> list[Message]:
    moment = timestamp()
    return [{**message, "read_at": moment} for message in steering]
