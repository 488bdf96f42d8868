"""The rehearsal: an offline stand-in for a model, which identifies itself as such.

Its response quotes the last message and the definition. It calls capabilities on request, one per line:

    call read_file path=README.md
    call write_file {"path": "notes.txt", "content": "Two words"}
    ask reader: What is in README.md?

Several such lines are parallel calls. The same conversation always gets the same response. Its token counts are
estimates: a quarter of the characters.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from itertools import takewhile
from typing import Any

from prompt_objects.llm.base import Completion, Request, TextChunk, Usage
from prompt_objects.message import Message, calls_of, text_of
from prompt_objects.utils.text import pluralize

_INTRODUCTION = (
    "This is a rehearsal without a model: set a key such as `OPENAI_API_KEY`, or start a local server such as "
    "Ollama, and a model will respond instead."
)
_COMMAND = re.compile(r"\s*(?:(?i:call)\s+(?P<tool>[\w-]+)(?P<rest>.*)|(?i:ask)\s+(?P<po>[\w-]+)\s*:(?P<text>.*))")
_MAX_QUOTED_CHARS = 400
_MAX_QUOTED_LINES = 8


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
    results = _last_results(request.messages)
    if results:
        return _assistant_message(_summary(results))
    text = _last_text(request.messages, "user")
    functions, problems = _commands_in(text, {tool["function"]["name"]: tool["function"] for tool in request.tools})
    if not functions and not problems:
        return _assistant_message(_introduction(text, request))
    message = _assistant_message("\n".join(problems))
    if functions:
        earlier_calls = sum(len(calls_of(earlier)) for earlier in request.messages)
        message["tool_calls"] = [
            {"id": f"call_{number}", "type": "function", "function": function}
            for number, function in enumerate(functions, earlier_calls + 1)
        ]
    return message


def _last_text(messages: Sequence[Message], role: str) -> str:
    return next((text_of(message) for message in reversed(messages) if message.get("role") == role), "")


def _assistant_message(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _introduction(text: str, request: Request) -> str:
    prompt = _last_text(request.messages, "system")
    parts = [_INTRODUCTION, f"You said:\n\n{_quoted(text)}"]
    if prompt.strip():
        parts.append(f"The system prompt begins:\n\n{_quoted(prompt)}")
    if request.tools:
        examples = "\n".join(f"- `{_example(tool['function'])}`" for tool in request.tools)
        parts.append(f"You can try these capabilities, one per line:\n\n{examples}")
    return "\n\n".join(parts)


# Commands


def _commands_in(text: str, tools: Mapping[str, Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the functions to call, and the problems of invalid commands."""
    functions: list[dict[str, Any]] = []
    problems: list[str] = []
    for command in filter(None, map(_COMMAND.fullmatch, text.splitlines())):
        name = command["tool"] or command["po"]
        if name not in tools:
            available = ", ".join(f"`{known}`" for known in tools) or "none"
            problems.append(f"There is no capability `{name}`. Available: {available}.")
            continue
        try:
            arguments = (
                {"message": command["text"].strip()} if command["po"] else _arguments(command["rest"], tools[name])
            )
        except ValueError as error:
            problems.append(f"`{name}` was not called: {error}")
        else:
            functions.append({"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)})
    return functions, problems


def _arguments(written: str, function: Mapping[str, Any]) -> dict[str, Any]:
    """Parse `key=value` pairs, quoted as in a shell, or a JSON object; raises `ValueError`."""
    import shlex

    if written.strip().startswith("{"):
        arguments = json.loads(written)
        assert isinstance(arguments, dict)  # noqa: S101 - JSON that starts with a brace is nothing else
        return arguments
    properties = function.get("parameters", {}).get("properties", {})
    arguments = {}
    for pair in shlex.split(written):
        key, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"write arguments as `key=value`, not `{pair}`.")
        arguments[key] = _parse_value(value, properties.get(key, {}))
    return arguments


def _parse_value(value: str, schema: Mapping[str, Any]) -> Any:
    """Parse a value by its schema; an invalid one stays text, and the capability reports it."""
    if schema.get("type", "string") == "string":
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


# Responses


def _last_results(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """Return the results after the last assistant message, each with the name of its capability."""
    results = [*takewhile(lambda message: message.get("role") == "tool", reversed(messages))]
    if not results:
        return []
    calls = calls_of(messages[-1 - len(results)])
    names = (str(call["function"]["name"]) for call in calls)
    return [(name, text_of(result)) for name, result in zip(names, reversed(results), strict=False)]


def _summary(results: Sequence[tuple[str, str]]) -> str:
    shown = (f"**{name}** returned {pluralize(len(text), 'character')}:\n\n{_quoted(text)}" for name, text in results)
    return "\n\n".join([f"{pluralize(len(results), 'result')}:", *shown])


def _quoted(text: str) -> str:
    """Return the beginning of a text in a Markdown fence that the text cannot close."""
    beginning = "\n".join(text.strip()[:_MAX_QUOTED_CHARS].splitlines()[:_MAX_QUOTED_LINES])
    more = "…" if len(beginning) < len(text.strip()) else ""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", beginning)), default=0))
    return f"{fence}text\n{beginning}{more}\n{fence}"


def _example(function: Mapping[str, Any]) -> str:
    name, parameters = function["name"], function.get("parameters", {})
    if list(parameters.get("properties", {})) == ["message"]:
        return f"ask {name}: …"
    return " ".join(["call", name, *(f"{key}=…" for key in parameters.get("required", ()))])


def _tokens(sent: object) -> int:
    return len(json.dumps(sent, ensure_ascii=False)) // 4
