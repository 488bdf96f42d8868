"""The rehearsal: an offline stand-in for a model, which identifies itself as such.

It has no intelligence, but it uses every capability (`calls.py`) and quotes the results (`answers.py`). The same
conversation always gets the same response. Its token counts are estimates: a quarter of the characters.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator

from prompt_objects.llm.base import Completion, Request, TextChunk, Usage
from prompt_objects.llm.rehearsal.answers import answer, introduction, last_results
from prompt_objects.llm.rehearsal.calls import functions_by_name, plan_calls
from prompt_objects.message import Message, calls_of, text_of


def split_words(text: str) -> list[str]:
    """Split a text into words with their white space."""
    return re.findall(r"\s*\S+\s*|\s+", text)


class Rehearsal:
    """The offline model; `pause` is the seconds between two words."""

    model = "rehearsal"

    def __init__(self, *, pause: float = 0.004) -> None:
        self._pause = pause

    async def stream(self, request: Request) -> AsyncGenerator[TextChunk | Completion, None]:
        message = _respond(request)
        for word in split_words(message["content"]):
            await asyncio.sleep(self._pause)
            yield TextChunk(word)
        usage = Usage(_tokens(request.messages) + _tokens(request.tools), _tokens(message))
        yield Completion(message, usage, "tool_calls" if "tool_calls" in message else "stop")

    async def close(self) -> None:
        """Do nothing: there is no connection."""


def _respond(request: Request) -> Message:
    functions = functions_by_name(request.tools)
    if results := last_results(request.messages):
        return _assistant_message(answer(results, functions))
    texts = [text_of(message) for message in request.messages if message.get("role") == "user"]
    planned, problems = plan_calls(texts[-1] if texts else "", functions)
    if not planned and not problems:
        prompts = [text_of(message) for message in request.messages if message.get("role") == "system"]
        return _assistant_message(introduction(prompts[-1] if prompts else "", functions))
    message = _assistant_message("\n".join(problems))
    if planned:
        earlier_calls = sum(len(calls_of(earlier)) for earlier in request.messages)
        message["tool_calls"] = [
            {"id": f"call_{number}", "type": "function", "function": call.as_function()}
            for number, call in enumerate(planned, earlier_calls + 1)
        ]
    return message


def _assistant_message(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _tokens(sent: object) -> int:
    return len(json.dumps(sent, ensure_ascii=False)) // 4
