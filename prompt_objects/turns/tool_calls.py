"""The tool calls of a response: run in parallel, their results returned in call order."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from prompt_objects.errors import PromptObjectsError, ToolError
from prompt_objects.message import Message, call_arguments, result_of
from prompt_objects.runtime.budget import Budget
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.events import ToolCallEnded, ToolCallStarted
from prompt_objects.runtime.interaction import Stopwatch
from prompt_objects.tools.arguments import plain_arguments
from prompt_objects.tools.base import ApprovedCall, Tool
from prompt_objects.tools.truncation import truncate
from prompt_objects.utils.secrets import hide_secrets

_CANCELLED = "Cancelled before it ended; whether it took effect is unknown."
NOT_RUN = "Cancelled before it began; it had no effect."
_STOP_TIMEOUT = 5.0


class ToolCalls:
    """The tool calls of one response, up to `parallel` of them running at the same time. They start immediately."""

    def __init__(
        self,
        calls: Sequence[dict[str, Any]],
        context: Context,
        budget: Budget,
        tools: Mapping[str, Tool],
        parallel: int,
    ) -> None:
        self._context = context
        self._budget = budget
        self._tools = tools
        self._semaphore = asyncio.Semaphore(parallel)
        self._pending = list(calls)  # calls whose result was not returned yet
        self._started: set[str] = set()
        self._grants: dict[str, str] = {}  # by call id: why it ran without approval
        self._tasks = {call["id"]: asyncio.create_task(self._call(call)) for call in calls}

    async def next_results(self) -> list[Message]:
        """Wait for the next call, in call order; return its result and those after it that are ready.

        Returns an empty list after the last call.
        """
        if not self._pending:
            return []
        await asyncio.shield(self._tasks[self._pending[0]["id"]])
        ended = list(takewhile(lambda call: self._tasks[call["id"]].done(), self._pending))
        del self._pending[: len(ended)]
        return [self._tasks[call["id"]].result() for call in ended]

    async def stop(self) -> None:
        """Cancel the running calls and wait for them; a tool that ignores the cancellation is abandoned after 5 s."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.wait(self._tasks.values(), timeout=_STOP_TIMEOUT)

    def result_so_far(self, call: dict[str, Any]) -> Message:
        """Return the result of a call after `stop`: its own, or that it was cancelled."""
        task = self._tasks.get(call["id"])
        succeeded = task is not None and task.done() and not task.cancelled() and task.exception() is None
        return task.result() if task and succeeded else self._result(call, self._cancelled(call), failed=True)

    def _result(self, call: dict[str, Any], text: str, *, failed: bool) -> Message:
        result, grant = result_of(call, text, failed=failed), self._grants.get(call["id"])
        return {**result, "grant": grant} if grant else result

    def _cancelled(self, call: dict[str, Any]) -> str:
        return _CANCELLED if call["id"] in self._started else NOT_RUN

    async def _call(self, call: dict[str, Any]) -> Message:
        function = call.get("function", {})
        about = {"call_id": call["id"], "name": str(function.get("name", ""))}
        async with self._semaphore:
            self._context.publish(ToolCallStarted, **about, arguments=str(function.get("arguments") or "{}"))
            stopwatch, outcome = Stopwatch(), None
            try:
                with stopwatch.running():
                    outcome = await self._attempt(call, about["name"])
            finally:
                seconds = stopwatch.seconds
                result, failed = outcome or (self._cancelled(call), True)
                self._context.publish(ToolCallEnded, **about, result=result, failed=failed, seconds=seconds)
        return self._result(call, result, failed=failed)

    async def _attempt(self, call: dict[str, Any], name: str) -> tuple[str, bool]:
        """Run a tool; return its result, shortened for the model, and whether it failed."""
        failed = True
        try:
            result = await self._run_tool(call, name)
            failed = False
        except PromptObjectsError as error:
            result = f"Error: {error}"
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            result = f"Error: {name} cancelled itself."  # the tool raised it, nobody cancelled the call
        except Exception as error:  # noqa: BLE001 - all errors of a tool go to the model
            result = f"Error: {name} failed: {_description(error)}"
        return await truncate(result, name, self._context.for_call(call["id"], name, self._tools)), failed

    async def _run_tool(self, call: dict[str, Any], name: str) -> str:
        tool = self._tools.get(name)
        if tool is None:
            raise ToolError(f"There is no capability {name!r}. Available: {', '.join(self._tools) or 'none'}.")
        try:
            arguments = plain_arguments(call_arguments(call), tool.parameters)
        except ValueError as error:
            raise ToolError(str(error)) from error
        self._budget.check_time()
        context = self._context.for_call(call["id"], name, self._tools)
        approved = await tool.approve(arguments, context)  # outside the timeout: the user may take any time
        if approved.grant:
            self._grants[call["id"]] = approved.grant
        try:
            async with self._budget.timeout():
                result = await asyncio.create_task(self._start(tool, approved))
        except TimeoutError:
            self._budget.check_time()
            raise
        if isinstance(result, ToolError):
            raise result
        if not isinstance(result, str):
            raise ToolError(f"{name} returned {type(result).__name__} instead of text.")
        return result

    async def _start(self, tool: Tool, call: ApprovedCall) -> object:
        """Run a tool in the current task, which is the only one that the tool can cancel; return its result.

        An error that would end the event loop is returned as a `ToolError` instead. A `KeyboardInterrupt` comes from
        the user and ends the program.
        """
        self._started.add(str(call.context.call_id))
        try:
            return await tool.run(call.arguments, call.context)
        except (Exception, asyncio.CancelledError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - extensions written in Rust raise it by accident
            return ToolError(f"{tool.name} failed: {_description(error)}")


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _description(error: BaseException) -> str:
    try:
        return hide_secrets(f"{type(error).__name__}: {error}")
    except Exception:  # noqa: BLE001 - its __str__ may fail
        return type(error).__name__
