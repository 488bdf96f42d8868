"""A model that responds from a script, for tests of prompt objects.

llm = ScriptedLLM([calls(("read_file", {"path": "README.md"})), "It is about sessions."])
async with Environment.open(folder, llm=llm) as env:
    reply = await env["reader"].receive("What is README.md about?")
assert llm.requests[1].messages[-1]["role"] == "tool"
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any, TypeAlias

from prompt_objects.errors import LLMError
from prompt_objects.llm.base import Completion, Request, TextChunk, Usage
from prompt_objects.llm.rehearsal import split_words
from prompt_objects.message import Message

Scripted: TypeAlias = str | Message | LLMError | Callable[[Request], "str | Message | LLMError"]


def calls(*tool_calls: tuple[str, dict[str, Any]], text: str = "") -> Message:
    """Return a response with tool calls, such as `calls(("read_file", {"path": "README.md"}))`."""
    functions = ({"name": name, "arguments": json.dumps(arguments)} for name, arguments in tool_calls)
    entries = [{"id": "", "type": "function", "function": function} for function in functions]
    return {"role": "assistant", "content": text, "tool_calls": entries}


class ScriptedLLM:
    """Responds to each request with the next of `replies`, and keeps the requests in `requests`.

    A reply is a text, a message (see `calls`), an `LLMError` to raise, or a function from the request to one of
    these. Text is streamed word by word, with `delay` seconds before each. Raises `AssertionError` if there is no
    reply left.
    """

    def __init__(self, replies: Iterable[Scripted] = (), *, model: str = "scripted", delay: float = 0) -> None:
        self.model = model
        self.requests: list[Request] = []
        self._replies = deque(replies)
        self._delay = delay

    async def stream(self, request: Request) -> AsyncGenerator[TextChunk | Completion, None]:
        self.requests.append(request)
        message = self._message(self._next_reply(request))
        for word in split_words(message["content"]):
            await asyncio.sleep(self._delay)
            yield TextChunk(word)
        prompt_size = sum(len(str(sent.get("content"))) for sent in request.messages)
        usage = Usage(prompt=prompt_size // 4, completion=max(1, len(message["content"]) // 4))
        yield Completion(message, usage, "tool_calls" if message.get("tool_calls") else "stop")

    async def close(self) -> None:
        pass

    def _next_reply(self, request: Request) -> str | Message:
        if not self._replies:
            raise AssertionError(
                f"The script has no reply left for request {len(self.requests)}: {_summary(request)}"
            )
        reply = self._replies.popleft()
        if callable(reply):
            reply = reply(request)
        if isinstance(reply, LLMError):
            raise reply
        return reply

    def _message(self, reply: str | Message) -> Message:
        """Complete a reply; the ids of its calls contain the number of the request."""
        if isinstance(reply, str):
            return {"role": "assistant", "content": reply}
        message = {"role": "assistant", "content": "", **reply}
        if message.get("tool_calls"):
            start = f"call_{len(self.requests)}_"
            numbered = enumerate(message["tool_calls"], 1)
            message["tool_calls"] = [{**call, "id": call["id"] or f"{start}{n}"} for n, call in numbered]
        return message


def _summary(request: Request) -> str:
    last = request.messages[-1] if request.messages else {}
    return f"{last.get('role')}: {str(last.get('content'))[:200]!r}"
