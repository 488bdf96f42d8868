"""Requests to an MCP server: the list of its tools, and calls, during which the server may ask the user."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from prompt_objects.errors import ToolError
from prompt_objects.mcp.elicitation import answer
from prompt_objects.mcp.incoming import MAX_TOOLS
from prompt_objects.runtime.context import Context

if TYPE_CHECKING:
    from mcp import ClientSession
    from mcp.types import CallToolResult, ElicitRequestParams, ElicitResult, InputRequiredResult
    from mcp.types import Tool as ServerTool


_MAX_PAGES = 100
_MAX_ROUNDS = 10  # of questions during one call
_ROUND_PAUSE_SECONDS = 0.25


async def list_tools(session: "ClientSession", *, seconds: float) -> "list[ServerTool]":
    """Return the tools of a server, from all pages; a few more than `MAX_TOOLS` at most. Raises `TimeoutError`."""
    from mcp.types import PaginatedRequestParams

    tools: list[ServerTool] = []
    cursor = None
    async with asyncio.timeout(seconds):
        for _ in range(_MAX_PAGES):
            page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor))
            tools += page.tools
            cursor = page.next_cursor
            if cursor is None or len(tools) > MAX_TOOLS:
                break
    return tools


class Call:
    """One call of a tool; its time limit is suspended while the server waits for the user."""

    def __init__(self, server: str, context: Context, seconds: float) -> None:
        self._server = server
        self._context = context
        self._seconds = seconds
        self._timeout = asyncio.timeout(seconds)
        self._open_questions: set[asyncio.Task[ElicitResult]] = set()

    async def run(self, session: "ClientSession", tool: str, arguments: dict[str, Any]) -> "CallToolResult":
        """Call the tool, and answer what its server asks in between. Raises `ToolError` if it takes too long."""
        from mcp.types import InputRequiredResult

        answers: dict[str, Any] = {}
        try:
            async with self._timeout:
                for _ in range(_MAX_ROUNDS):
                    result = await _send(session, tool, arguments, **answers)
                    if not isinstance(result, InputRequiredResult):
                        return result
                    answers = {"request_state": result.request_state, "input_responses": await self._answers(result)}
        except TimeoutError as error:
            problem = f"did not respond within {self._seconds:g} seconds; whether the call took effect is unknown."
            raise ToolError(f"{self._server} {problem}") from error
        finally:
            for question in tuple(self._open_questions):
                question.cancel()
        raise ToolError(f"{self._server} asked too often: more than {_MAX_ROUNDS} times during one call.")

    async def ask_user(self, request: "ElicitRequestParams") -> "ElicitResult":
        """Ask the user for the server, until the call ends; while waiting, it does not time out."""
        from mcp.types import ElicitResult

        question = asyncio.create_task(answer(self._server, request, self._context))
        self._open_questions.add(question)
        try:
            self._timeout.reschedule(None)
            await asyncio.wait([question])
            return ElicitResult(action="cancel") if question.cancelled() else question.result()
        finally:
            question.cancel()
            self._open_questions.discard(question)
            with suppress(RuntimeError):  # the call has ended
                self._timeout.reschedule(asyncio.get_running_loop().time() + self._seconds)

    async def _answers(self, result: "InputRequiredResult") -> "dict[str, ElicitResult] | None":
        from mcp.types import ElicitRequest

        if not result.input_requests:
            await asyncio.sleep(_ROUND_PAUSE_SECONDS)
            return None
        answers = {}
        for key, request in result.input_requests.items():
            if not isinstance(request, ElicitRequest):
                raise ToolError(f"{self._server} requests {request.method}, which is not supported.")
            answers[key] = await self.ask_user(request.params)
        return answers


async def _send(
    session: "ClientSession", tool: str, arguments: dict[str, Any], **answers: Any
) -> "CallToolResult | InputRequiredResult":
    # Not `session.call_tool`: it checks results against the server's schema, which runs regular expressions of the
    # server in the event loop, and may send the server more requests after the call took effect.
    from mcp.types import CallToolRequest, CallToolRequestParams, CallToolResult, InputRequiredResult
    from pydantic import TypeAdapter

    request = CallToolRequest(params=CallToolRequestParams(name=tool, arguments=arguments, **answers))
    kinds: TypeAdapter[CallToolResult | InputRequiredResult] = TypeAdapter(CallToolResult | InputRequiredResult)
    return await session.send_request(request, kinds)
