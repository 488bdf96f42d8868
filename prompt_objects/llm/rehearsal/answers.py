"""The answers of the rehearsal: quotations of the results of its calls, or how to use it."""

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from prompt_objects.llm.rehearsal.calls import Functions, example, takes_message
from prompt_objects.message import REFUSED, Message, call_arguments, calls_of, text_of

_INTRODUCTION = (
    "This is a rehearsal without a model: set a key such as `OPENAI_API_KEY`, or start a local server such as "
    "Ollama, and a model will respond instead."
)
_MAX_QUOTED_CHARS = 400
_MAX_QUOTED_LINES = 8
_MAX_LINE_CHARS = 140
_MARKUP = re.compile(r"^\s*(?:>\s*)*(?:(?:`{3,}|~{3,}).*|(?:[-*]|#+)\s+)?", re.MULTILINE)


class Result(NamedTuple):
    """The result of a call: the name of the capability, the arguments, the returned text."""

    name: str
    arguments: dict[str, Any]
    text: str


def last_results(messages: Sequence[Message]) -> list[Result]:
    """Return the results after the last assistant message; none if another message follows them."""
    texts = [text_of(each) for each in takewhile(lambda each: each.get("role") == "tool", reversed(messages))]
    calls = calls_of(messages[-1 - len(texts)]) if texts else []
    return [_result(call, text) for call, text in zip(calls, reversed(texts), strict=False)]


def _result(call: dict[str, Any], text: str) -> Result:
    try:
        arguments = call_arguments(call)
    except ValueError:  # another model made the call
        arguments = {}
    return Result(str(call["function"]["name"]), arguments, text)


def answer(results: Sequence[Result], functions: Functions) -> str:
    """Quote results: the beginning of what a tool returned, and in one line each what prompt objects replied."""
    blocks: list[str] = []
    for result in results:
        if takes_message(functions.get(result.name, {})):
            item = f"- **{result.name}**: {_in_one_line(result.text)}"
            is_list = bool(blocks) and blocks[-1].startswith("- ")
            blocks[-1:] = [f"{blocks[-1]}\n{item}"] if is_list else [*blocks[-1:], item]
        else:
            blocks.append(_from_tool(result))
    return "\n\n".join(blocks)


def _from_tool(result: Result) -> str:
    text = result.text.strip()
    if text.startswith(f"Error: {REFUSED}"):  # the user knows, and the screen says so
        return f"**{result.name}** did not run."
    if result.name == "read_file" and not text.startswith("Error: "):
        path = " ".join(str(result.arguments.get("path")).split())
        return f"From **{path}**:\n\n{_quoted(text, PurePosixPath(path).suffix)}"
    if "\n" in text:
        return f"**{result.name}** returned:\n\n{_quoted(text)}"
    return f"**{result.name}**: {text[:_MAX_QUOTED_CHARS]}"


def _quoted(text: str, suffix: str = "") -> str:
    """Quote the beginning of a text: Markdown is quoted as such, other text in a fence that it cannot close."""
    beginning = "\n".join(text[:_MAX_QUOTED_CHARS].splitlines()[:_MAX_QUOTED_LINES])
    if len(beginning) < len(text):
        beginning = f"{_whole_words(beginning, text)} …"
    if suffix == ".md":
        return "\n".join(f"> {line}".rstrip() for line in beginning.splitlines())
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", beginning)), default=0))
    language = suffix[1:] if suffix[1:].isalnum() and suffix != ".txt" else "text"
    return f"{fence}{language}\n{beginning}\n{fence}"


def _in_one_line(reply: str) -> str:
    """Return the beginning of a reply without its Markdown structure."""
    line = " ".join(_MARKUP.sub("", reply).replace("**", "").split())
    if len(line) <= _MAX_LINE_CHARS:
        return line
    return f"{_whole_words(line[:_MAX_LINE_CHARS], line)} …"


def _whole_words(beginning: str, text: str) -> str:
    """Return the beginning of a text without a word that was cut, unless the word is very long."""
    is_cut = not text[len(beginning) : len(beginning) + 1].isspace()
    return (is_cut and re.sub(r"\s+\S{0,40}\Z", "", beginning)) or beginning.rstrip()


def introduction(prompt: str, functions: Functions) -> str:
    """Say what answers here, and how its capabilities are used."""
    parts = [_INTRODUCTION]
    if first_line := next(filter(str.strip, prompt.splitlines()), "").strip():
        more = " …" if first_line.endswith(":") else ""  # a list follows
        parts.append(f"The prompt of the model begins: {_in_one_line(first_line)}{more}")
    if functions:
        listed = "\n".join(f"- `{line}`" for line in _examples(functions))
        parts.append(f"Until then, a message that names a capability or a file uses it. Try:\n\n{listed}")
    return "\n\n".join(parts)


def _examples(functions: Functions) -> Iterator[str]:
    objects = [name for name, function in functions.items() if takes_message(function)]
    if objects:
        yield f"Ask {' and '.join(objects[:2])} what is in objects/"
    yield from (example(function) for name, function in functions.items() if name not in objects)
