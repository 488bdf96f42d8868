"""Questions of MCP servers to the user ("elicitation"), asked one field at a time, as `ask_human` asks."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prompt_objects.runtime.asking import ask_question
from prompt_objects.runtime.context import Context

if TYPE_CHECKING:
    from mcp.types import ElicitRequestParams, ElicitResult


_MAX_FIELDS = 20
_MAX_TEXT = 4000
_ATTEMPTS = 3
_YES_NO = {"yes": True, "no": False}


class _Declined(Exception):
    """The user gave no valid answer to a required field."""


async def answer(server: str, request: "ElicitRequestParams", context: Context) -> "ElicitResult":
    """Ask the user what a server wants to know.

    An empty answer leaves out an optional field, and declines the request if the field is required. Without a user,
    the request is cancelled.
    """
    from mcp.types import ElicitRequestURLParams, ElicitResult

    interaction = context.services.interaction
    if interaction.handler is None:
        return ElicitResult(action="cancel")
    title = f"The MCP server {server} asks: {request.message[:_MAX_TEXT]}"
    async with interaction.exclusive(context.budget):
        try:
            if isinstance(request, ElicitRequestURLParams):
                where = f"{title}\nOpen this address if you trust it, then answer yes: {request.url[:_MAX_TEXT]}"
                return ElicitResult(action="accept" if await _confirm(where, context) else "decline")
            return await _fill_in(title, request.requested_schema, context)
        except _Declined:
            return ElicitResult(action="decline")


async def _fill_in(title: str, schema: Mapping[str, Any], context: Context) -> "ElicitResult":
    from mcp.types import ElicitResult

    properties, required = schema.get("properties"), schema.get("required")
    fields = properties if isinstance(properties, dict) else {}
    if len(fields) > _MAX_FIELDS:
        context.notify(f"{title}\nThis was declined: it has more than {_MAX_FIELDS} questions.")
        raise _Declined
    if not fields:
        return ElicitResult(action="accept", content={}) if await _confirm(title, context) else _declined()
    content = {}
    for number, (name, field) in enumerate(fields.items()):
        is_required = isinstance(required, list) and name in required
        asked = _Field(name, field if isinstance(field, dict) else {}, is_required=is_required)
        value = await asked.ask(f"{title}\n" if not number else "", context)
        if value is not None:
            content[name] = value
    return ElicitResult(action="accept", content=content)


def _declined() -> "ElicitResult":
    from mcp.types import ElicitResult

    return ElicitResult(action="decline")


async def _confirm(question: str, context: Context) -> bool:
    return _YES_NO.get(await _ask(question, tuple(_YES_NO), context), False)


async def _ask(question: str, choices: tuple[str, ...], context: Context) -> str:
    handler = context.services.interaction.handler
    return await ask_question(handler, question[:_MAX_TEXT], choices, context) if handler else ""


class _Field:
    """A field of a form: its schema, and the values that its choices stand for."""

    def __init__(self, name: str, schema: Mapping[str, Any], *, is_required: bool) -> None:
        self._name = name
        self._schema = schema
        self._is_required = is_required
        self._is_list = schema.get("type") == "array"
        items = schema.get("items")
        self._choices = _choices(items if self._is_list and isinstance(items, dict) else schema)

    async def ask(self, title: str, context: Context) -> Any:
        """Return the value that the user gives, None for none. Raises `_Declined`."""
        problem = ""
        for _ in range(_ATTEMPTS):
            text = await _ask(f"{title}{problem}{self._question()}", tuple(self._choices), context)
            if not text:
                if self._is_required and "default" not in self._schema:
                    raise _Declined
                return self._schema.get("default")
            try:
                return self._parse(text)
            except ValueError as error:
                problem = f"{error}\n"
        raise _Declined

    def _question(self) -> str:
        label = str(self._schema.get("title") or self._name)
        details = [str(self._schema.get("description", "")), "several, separated by commas" if self._is_list else ""]
        if "default" in self._schema:
            details.append(f"default: {json.dumps(self._schema['default'], ensure_ascii=False)}")
        elif not self._is_required:
            details.append("optional")
        return f"{label}: {'; '.join(filter(None, details))}".rstrip(": ")

    def _parse(self, text: str) -> Any:
        """Return the value of an answer. Raises `ValueError` with a sentence for the user."""
        if self._is_list:
            return [self._chosen(part.strip()) for part in text.split(",") if part.strip()]
        if self._choices:
            return self._chosen(text)
        kind = self._schema.get("type")
        if kind in {"integer", "number"}:
            return self._number(text, int if kind == "integer" else float)
        return self._text(text)

    def _chosen(self, text: str) -> Any:
        if not self._choices:
            return text
        by_folded = {choice.casefold(): value for choice, value in self._choices.items()}
        if text.casefold() not in by_folded:
            raise ValueError(f"{text!r} is not one of {', '.join(self._choices)}.")
        return by_folded[text.casefold()]

    def _number(self, text: str, kind: type[int] | type[float]) -> float:
        try:
            number = kind(text)
        except ValueError:
            raise ValueError(f"{text!r} is not a {'whole ' if kind is int else ''}number.") from None
        low, high = self._schema.get("minimum", float("-inf")), self._schema.get("maximum", float("inf"))
        if not low <= number <= high:
            raise ValueError(f"{text} is not from {low} to {high}.")
        return number

    def _text(self, text: str) -> str:
        low, high = self._schema.get("minLength", 0), self._schema.get("maxLength", float("inf"))
        if not low <= len(text) <= high:
            raise ValueError(f"The text has {len(text)} characters, not from {low} to {high}.")
        return text


def _choices(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a field that has a fixed set, by the words that the user sees."""
    if schema.get("type") == "boolean":
        return dict(_YES_NO)
    titled = schema.get("oneOf") or schema.get("anyOf")
    if isinstance(titled, list):
        options = [option for option in titled if isinstance(option, dict) and "const" in option]
        return {str(option.get("title") or option["const"]): option["const"] for option in options}
    values = schema.get("enum")
    if not isinstance(values, list):
        return {}
    names = schema.get("enumNames")
    shown = names if isinstance(names, list) and len(names) == len(values) else values
    return {str(name): value for name, value in zip(shown, values, strict=True)}
