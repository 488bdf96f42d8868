"""The calls of an answer: carried out side by side, their results saved in call order."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from prompt_objects.errors import PromptObjectsError, ToolError
from prompt_objects.message import OUTCOME_UNKNOWN, Message, call_arguments, result_of
from prompt_objects.runtime.budget import Budget
from prompt_objects.runtime.context import Context, publish
from prompt_objects.runtime.events import ToolCallEnded, ToolCallStarted
from prompt_objects.tools.base import Tool
from prompt_objects.tools.truncation import truncate
from prompt_objects.turns.message_writer import MessageWriter

__all__ = [
    "ToolCalls",
]

_CANCELLED = "Cancelled before it ended; whether it took effect is unknown."
_NOT_RUN = "Cancelled before it began; it had no effect."
_PATIENCE_SECONDS = 5.0


class ToolCalls:
    """Carries out what the answers of one turn call, within its budget, so many at once; `tools` are by name."""

    tools: Mapping[str, Tool]

    def __init__(self, context: Context, budget: Budget, minutes: MessageWriter, parallel: int) -> None:
        self.tools = {}
        self._context = context
        self._budget = budget
        self._minutes = minutes
        self._parallel = parallel
        self._running: dict[str, asyncio.Task[Message]] = {}
        self._begun: set[str] = set()

    async def run(self, calls: Sequence[dict[str, Any]]) -> None:
        """Run the calls of one answer, and save the results as they end, in call order."""
        gate = asyncio.Semaphore(self._parallel)
        self._running = {call["id"]: asyncio.create_task(self._call(call, gate)) for call in calls}
        waiting = list(calls)
        while waiting:
            await asyncio.shield(self._running[waiting[0]["id"]])
            ended = list(takewhile(lambda call: self._running[call["id"]].done(), waiting))
            await self._minutes.save(*(self._running[call["id"]].result() for call in ended))
            del waiting[: len(ended)]
        self._running, self._begun = {}, set()  # some models number their calls anew in each answer

    async def stop(self) -> None:
        """Stop what still runs.

        A tool that will not stop is left behind after a while; it cannot hold up the person.
        """
        for task in self._running.values():
            task.cancel()
        if self._running:
            await asyncio.wait(self._running.values(), timeout=_PATIENCE_SECONDS)

    def result_so_far(self, call: dict[str, Any]) -> Message:
        """Return the result of a call in a session whose turn was stopped, as far as it is known."""
        if call not in self._minutes.calls:  # a turn before this one left it
            return result_of(call, OUTCOME_UNKNOWN, failed=None)
        task = self._running.get(call["id"])
        ended_well = task is not None and task.done() and not task.cancelled() and task.exception() is None
        return task.result() if task and ended_well else result_of(call, self._cut_off(call), failed=True)

    def _cut_off(self, call: dict[str, Any]) -> str:
        return _CANCELLED if call["id"] in self._begun else _NOT_RUN

    async def _call(self, call: dict[str, Any], gate: asyncio.Semaphore) -> Message:
        function = call.get("function", {})
        about = {"call_id": call["id"], "name": str(function.get("name", ""))}
        async with gate:
            publish(self._context, ToolCallStarted, **about, arguments=str(function.get("arguments") or "{}"))
            start, ending = time.perf_counter(), None
            try:
                ending = await self._attempt(call, about["name"])
            finally:
                seconds = time.perf_counter() - start
                result, failed = ending or (self._cut_off(call), True)
                publish(self._context, ToolCallEnded, **about, result=result, failed=failed, seconds=seconds)
        return result_of(call, result, failed=failed)

    async def _attempt(self, call: dict[str, Any], name: str) -> tuple[str, bool]:
        """Run a tool; return its result, as much as a model is to read at once, and whether it failed."""
        failed = True
        try:
            result = await self._run_tool(call, name)
            failed = False
        except PromptObjectsError as error:
            result = f"Error: {error}"
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            result = f"Error: {name} gave up."  # a cancellation of the tool's own making
        except Exception as error:  # noqa: BLE001 - whatever a tool does wrong is the model's to read
            result = f"Error: {name} failed: {_in_words(error)}"
        return await truncate(result, name, self._context.for_call(call["id"], self.tools)), failed

    async def _run_tool(self, call: dict[str, Any], name: str) -> str:
        tool = self.tools.get(name)
        if tool is None:
            raise ToolError(f"There is no capability {name!r}. There are: {', '.join(self.tools) or 'none'}.")
        try:
            arguments = call_arguments(call)
        except ValueError as error:
            raise ToolError(str(error)) from error
        self._budget.check_time()
        context = self._context.for_call(call["id"], self.tools)
        arguments = await tool.approve(arguments, context)  # a person takes as long as it takes
        try:
            async with self._budget.timeout():  # a person may be waited for meanwhile, too
                result = await asyncio.create_task(self._begin(tool, arguments, context))
        except TimeoutError:
            self._budget.check_time()
            raise
        if isinstance(result, ToolError):
            raise result
        if not isinstance(result, str):
            raise ToolError(f"{name} is faulty: it returned {type(result).__name__}, not text.")
        return result

    async def _begin(self, tool: Tool, arguments: dict[str, Any], context: Context) -> object:
        """Run a tool, in a task of its own, which is all that it can cancel; return its result.

        What it raises that would end more than this is returned as a `ToolError`: the loop would let it through. A
        `KeyboardInterrupt` is a person's, and ends the program.
        """
        self._begun.add(str(context.call_id))
        try:
            return await tool.run(arguments, context)
        except (Exception, asyncio.CancelledError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - as extensions in Rust raise it; nobody here can have meant it
            return ToolError(f"{tool.name} failed: {_in_words(error)}")


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _in_words(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - it cannot even say what it is
        return type(error).__name__
