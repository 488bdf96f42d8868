"""The calls that a message asks for, found by names and not by meaning.

A message that names capabilities calls them side by side; one that names files or folders only reads them:

    Ask reader and critic what is in README.md.
    Use write_file for notes.txt: "Two words"
    What is in README.md and objects/?

A prompt object gets all sentences but those that name only others. A tool gets as its arguments the paths, the URLs
and the quoted texts that follow its name. A line can also say exactly what to call:

    call read_file path=README.md
    call write_file {"path": "notes.txt", "content": "Two words"}
    ask reader: What is in README.md?
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

Functions: TypeAlias = Mapping[str, Mapping[str, Any]]
"""The functions of a request by name."""

_COMMAND = re.compile(r"\s*(?:(?i:call)\s+(?P<tool>[\w-]+)(?P<rest>.*)|(?i:ask)\s+(?P<po>[\w-]+)\s*:(?P<text>.*))")
_URL = re.compile(r"https?://[^\s\"'<>`]+")
_FOLDER = re.compile(r"(?<![\w./-])(?:[\w.-]+/)+(?![\w-]|\.\w)")
_FILE = re.compile(r"(?<![\w./-])(?:[\w.-]+/)*(?:[\w-]{2,}\.[A-Za-z]\w{0,4}|\w\.[A-Za-z]\w{1,4})(?![\w/-])")
_QUOTED = re.compile('"([^"]+)"|\N{LEFT DOUBLE QUOTATION MARK}([^\N{RIGHT DOUBLE QUOTATION MARK}]+)')
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n+")
_READS = re.compile(r"\breads?\b", re.IGNORECASE)


class Call(NamedTuple):
    """A call of a capability."""

    name: str
    arguments: dict[str, Any]

    def as_function(self) -> dict[str, str]:
        """Return the call as the chat protocol has it."""
        return {"name": self.name, "arguments": json.dumps(self.arguments, ensure_ascii=False)}


def functions_by_name(tools: Iterable[Mapping[str, Any]]) -> Functions:
    """Return the functions of a request by name."""
    return {tool["function"]["name"]: tool["function"] for tool in tools}


def takes_message(function: Mapping[str, Any]) -> bool:
    """Return whether a capability is a prompt object: it takes a message and nothing else."""
    return list(_properties(function)) == ["message"]


def plan_calls(text: str, functions: Functions) -> tuple[list[Call], list[str]]:
    """Return the calls that a message asks for, and the reasons why others cannot be made."""
    commands = [command for command in map(_COMMAND.fullmatch, text.splitlines()) if command]
    if commands:
        return _commanded_calls(commands, functions)
    places = {name: place.start() for name in functions if (place := _names(name).search(text))}
    if places:
        return _calls_of_named(text, dict(sorted(places.items(), key=lambda item: item[1])), functions)
    return list(_reading_calls(text, functions)), []


def _names(*names: str) -> re.Pattern[str]:
    """Return the pattern of one of the names, or of several: `reader, writer and critic`."""
    one = rf"(?<![\w./-])@?(?:{'|'.join(map(re.escape, names))})(?![\w/-]|\.\w)"
    return re.compile(rf"(?:the )?{one}(?:(?:,? (?:and|or) |, ?| & )(?:the )?{one})*", re.IGNORECASE)


# Capabilities that the message names


def _calls_of_named(text: str, places: Mapping[str, int], functions: Functions) -> tuple[list[Call], list[str]]:
    """Return the calls of the capabilities that the text names, in this order, at these places."""
    calls: list[Call] = []
    problems: list[str] = []
    objects = [name for name in places if takes_message(functions[name])]
    for name, place in places.items():
        if name in objects:
            calls.append(Call(name, {"message": _task(text, name, objects)}))
            continue
        end = min((other for other in places.values() if other > place), default=len(text))
        found = list(_tool_calls(text[place + len(name) : end], functions[name]))
        complete = [call for call in found if not _missing(call, functions[name])]
        calls += complete
        if not complete:
            missing = " and ".join(f"`{key}`" for key in _missing(found[0], functions[name]))
            problems.append(f"`{name}` needs {missing}. For example: `{example(functions[name])}`")
    return calls, problems


def _task(text: str, name: str, objects: Sequence[str]) -> str:
    """Return what a message says to one of the prompt objects that it names, in the second person."""
    names = _names(*objects)
    address = re.compile(
        r"\s*(?:(?:please|then|and|also|can you|could you) )*"
        rf"(?:(?:ask|tell|let|have|get|call|use) {names.pattern}(?: to\b|:|,)?|{names.pattern}[:,])\s*",
        re.IGNORECASE,
    )
    sentences: list[str] = []
    for sentence in _SENTENCE_END.split(text):
        if _names(name).search(sentence) or not names.search(sentence):
            addressed = address.match(sentence)
            sentences.append(names.sub("you", sentence[addressed.end() if addressed else 0 :]).strip())
    task = " ".join(filter(None, sentences))
    return text if task in {"", "you"} else task


def _tool_calls(text: str, function: Mapping[str, Any]) -> Iterator[Call]:
    """Yield a call of a tool for each path in its part of the message, or one without a path."""
    paths = _files(_QUOTED.sub("", text)) + _folders(_QUOTED.sub("", text)) or _files(text) + _folders(text)
    for path in dict.fromkeys(paths) if paths and "path" in _properties(function) else [""]:
        given: dict[str, Any] = {"path": path} if path else {}
        quoted = (match[1] or match[2] for match in _QUOTED.finditer(text))
        found = {"url": iter(_URL.findall(text))}
        rest = (each for each in quoted if each != path)
        for key in _required(function):
            if key not in given and (value := next(found.get(key, rest), None)):
                given[key] = value
        yield Call(function["name"], given)


def _missing(call: Call, function: Mapping[str, Any]) -> list[str]:
    return [key for key in _required(function) if key not in call.arguments]


# Files and folders that the message names


def _reading_calls(text: str, functions: Functions) -> Iterator[Call]:
    """Yield calls that read what the text names; without a tool for it, a prompt object that reads is asked."""
    named = {"list_files": _folders(text), "read_file": _files(text)}
    for tool, paths in named.items():
        if tool in functions:
            yield from (Call(tool, {"path": path}) for path in dict.fromkeys(paths))
    if any(named.values()) and not named.keys() & functions.keys():
        readers = [
            name
            for name, function in functions.items()
            if takes_message(function) and _READS.search(function.get("description", ""))
        ]
        yield from (Call(name, {"message": text.strip()}) for name in readers[:1])


def _files(text: str) -> list[str]:
    return [match[0] for match in _FILE.finditer(_URL.sub("", text))]


def _folders(text: str) -> list[str]:
    return [match.rstrip("/") for match in _FOLDER.findall(_URL.sub("", text))]


# Lines that say exactly what to call


def _commanded_calls(commands: Iterable[re.Match[str]], functions: Functions) -> tuple[list[Call], list[str]]:
    calls: list[Call] = []
    problems: list[str] = []
    for command in commands:
        name = command["tool"] or command["po"]
        if name not in functions:
            available = ", ".join(f"`{known}`" for known in functions) or "none"
            problems.append(f"There is no capability `{name}`. Available: {available}.")
            continue
        try:
            message = {"message": (command["text"] or "").strip()}
            calls.append(Call(name, message if command["po"] else _arguments(command["rest"], functions[name])))
        except ValueError as error:
            problems.append(f"`{name}` was not called: {error}")
    return calls, problems


def _arguments(written: str, function: Mapping[str, Any]) -> dict[str, Any]:
    """Parse `key=value` pairs, quoted as in a shell, or a JSON object; raises `ValueError`."""
    import shlex

    if written.strip().startswith("{"):
        arguments = json.loads(written)
        assert isinstance(arguments, dict)  # noqa: S101 - JSON that starts with a brace is nothing else
        return arguments
    arguments = {}
    for pair in shlex.split(written):
        key, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"write arguments as `key=value`, not `{pair}`.")
        arguments[key] = _parse_value(value, _properties(function).get(key, {}))
    return arguments


def _parse_value(value: str, schema: Mapping[str, Any]) -> Any:
    """Parse a value by its schema; an invalid one stays text, and the capability reports it."""
    if schema.get("type", "string") == "string":
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _properties(function: Mapping[str, Any]) -> Mapping[str, Any]:
    properties: Mapping[str, Any] = function.get("parameters", {}).get("properties", {})
    return properties


def _required(function: Mapping[str, Any]) -> Sequence[str]:
    required: Sequence[str] = function.get("parameters", {}).get("required", ())
    return required


def example(function: Mapping[str, Any]) -> str:
    """Return a line that calls a capability."""
    if takes_message(function):
        return f"ask {function['name']}: …"
    return " ".join(["call", function["name"], *(f"{key}=…" for key in _required(function))])
