"""The calls of an answer: carried out side by side, their results saved in call order."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from prompt_objects.budget import Budget
from prompt_objects.bus import CallEnded, CallStarted
from prompt_objects.context import Context
from prompt_objects.errors import PromptObjectsError, ToolError
from prompt_objects.message import Message, call_arguments, result_of
from prompt_objects.minutes import Minutes
from prompt_objects.news import publish
from prompt_objects.tools import Tool
from prompt_objects.tools.long_result import in_short

__all__ = ["Calls"]

_CANCELLED = "Cancelled before it ended; whether it took effect is unknown."
_NOT_RUN = "Cancelled before it began; it had no effect."
_PATIENCE_SECONDS = 5.0


class Calls:
    """Carries out what the answers of one turn call, within its budget, so many at once; `tools` are by name."""

    tools: Mapping[str, Tool]

    def __init__(self, context: Context, budget: Budget, minutes: Minutes, parallel: int) -> None:
        self.tools = {}
        self._context = context
        self._budget = budget
        self._minutes = minutes
        self._parallel = parallel
        self._running: dict[str, asyncio.Task[Message]] = {}
        self._begun: set[str] = set()

    async def carry_out(self, calls: Sequence[dict[str, Any]]) -> None:
        """Run the calls of one answer, and save the results as they end, in call order."""
        gate = asyncio.Semaphore(self._parallel)
        self._running = {call["id"]: asyncio.create_task(self._call(call, gate)) for call in calls}
        waiting = list(calls)
        while waiting:
            await asyncio.shield(self._running[waiting[0]["id"]])
            ended = list(takewhile(lambda call: self._running[call["id"]].done(), waiting))
            await self._minutes.save(*(self._running[call["id"]].result() for call in ended))
            del waiting[: len(ended)]
        self._running = {}

    async def stop(self) -> None:
        """Stop what still runs.

        A tool that will not stop is left behind after a while; it cannot hold up the person.
        """
        for task in self._running.values():
            task.cancel()
        if self._running:
            await asyncio.wait(self._running.values(), timeout=_PATIENCE_SECONDS)

    def outcome(self, call: dict[str, Any]) -> Message:
        """Return the result of a call of a turn that was stopped, as far as it is known."""
        task = self._running.get(call["id"])
        if call["id"] not in self._begun or task is None:
            return result_of(call, _NOT_RUN, failed=True)
        ended_well = task.done() and not task.cancelled() and task.exception() is None
        return task.result() if ended_well else result_of(call, _CANCELLED, failed=True)

    async def _call(self, call: dict[str, Any], gate: asyncio.Semaphore) -> Message:
        function = call.get("function", {})
        about = {"call_id": call["id"], "name": str(function.get("name", ""))}
        async with gate:
            publish(self._context, CallStarted, **about, arguments=str(function.get("arguments") or "{}"))
            start, result, failed = time.perf_counter(), _CANCELLED, True
            try:
                result, failed = await self._attempt(call, about["name"])
            finally:
                seconds = time.perf_counter() - start
                publish(self._context, CallEnded, **about, result=result, failed=failed, seconds=seconds)
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
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a tool does wrong is the model's to read
            result = f"Error: {name} failed: {_in_words(error)}"
        return await in_short(result, name, self._context.for_call(call["id"], self.tools)), failed

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
            async with self._budget.in_time():  # a person may be waited for meanwhile, too
                self._begun.add(call["id"])
                result: object = await tool.run(arguments, context)
        except TimeoutError:
            self._budget.check_time()
            raise
        if not isinstance(result, str):
            raise ToolError(f"{name} is faulty: it returned {type(result).__name__}, not text.")
        return result


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _in_words(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - it cannot even say what it is
        return type(error).__name__
