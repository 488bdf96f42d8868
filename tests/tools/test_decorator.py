"""`@tool`: the schema, the conversion of arguments, results and errors."""

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from prompt_objects.errors import ToolError
from prompt_objects.runtime.context import Context
from prompt_objects.tools.base import Tool
from prompt_objects.tools.decorator import tool
from tests.support.tool_calls import call


class Place(Struct):
    city: str
    street: str = ""


@tool
def forecast(
    place: Place,
    days: Annotated[int, Meta(ge=1, le=14, description="How many days ahead")] = 3,
    unit: Literal["C", "F"] = "C",
    tags: list[str] | None = None,
) -> dict[str, Any]:
    """Say what the weather
    will be.

    It is not always right.
    """
    return {"city": place.city, "days": days, "unit": unit, "tags": tags}


def test_name_and_description_come_from_the_function() -> None:
    assert (forecast.name, forecast.description, forecast.effect) == (
        "forecast",
        "Say what the weather will be.",
        "read",
    )


def test_the_schema_is_made_from_the_types() -> None:
    assert forecast.parameters == {
        "type": "object",
        "properties": {
            "place": {"$ref": "#/$defs/Place"},
            "days": {
                "type": "integer",
                "minimum": 1,
                "maximum": 14,
                "description": "How many days ahead",
                "default": 3,
            },
            "unit": {"enum": ["C", "F"], "default": "C"},
            "tags": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}], "default": None},
        },
        "required": ["place"],
        "additionalProperties": False,
        "$defs": {
            "Place": {
                "title": "Place",
                "type": "object",
                "properties": {"city": {"type": "string"}, "street": {"type": "string", "default": ""}},
                "required": ["city"],
            }
        },
    }


def test_arguments_are_converted_to_the_types_and_the_result_to_json(tmp_path: Path) -> None:
    answer = call(forecast, tmp_path, place={"city": "Ulm"}, tags=["a"])
    assert json.loads(answer) == {"city": "Ulm", "days": 3, "unit": "C", "tags": ["a"]}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "`place` is missing. Required: `place`; optional: `days`, `unit`, `tags`."),
        ({"place": {}}, "`city` is missing in `place`."),
        ({"place": {"city": 1}}, "`place.city` is invalid: expected `string`, got `integer`."),
        ({"place": {"city": "Ulm"}, "days": 0}, "`days` is invalid: expected `integer` >= 1."),
        ({"place": {"city": "Ulm"}, "days": "3"}, "`days` is invalid: expected `integer`, got `string`."),
        ({"place": {"city": "Ulm"}, "unit": "K"}, "`unit` is invalid: invalid enum value 'K'."),
        ({"place": {"city": "Ulm"}, "tags": ["a", 2]}, "`tags[1]` is invalid"),
        ({"place": {"city": "Ulm"}, "when": 1}, "There is no argument 'when'."),
    ],
)
def test_invalid_arguments_raise_a_tool_error_that_names_them(
    tmp_path: Path, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ToolError) as refused:
        call(forecast, tmp_path, **arguments)
    assert str(refused.value).startswith(words)


def test_the_context_is_passed_but_not_part_of_the_schema(tmp_path: Path) -> None:
    @tool
    async def where(services: Context | None = None) -> str:
        """Say where."""
        assert services is not None
        return str(services.folder)

    assert where.parameters["properties"] == {}
    assert call(where, tmp_path) == str(tmp_path)
    with pytest.raises(ToolError, match="no argument 'services'"):
        call(where, tmp_path, services=None)


def test_a_function_that_is_not_async_runs_in_a_thread(tmp_path: Path) -> None:
    @tool
    def thread() -> str:
        """Name the thread."""
        return threading.current_thread().name

    @tool
    async def loop() -> str:
        """Name the thread."""
        return threading.current_thread().name

    assert call(thread, tmp_path) != "MainThread"
    assert call(loop, tmp_path) == "MainThread"


def test_the_decorator_takes_an_effect() -> None:
    @tool(effect="execute")
    def run() -> None:
        """Run it."""

    assert isinstance(run, Tool)
    assert run.effect == "execute"


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("value", "text"),
    [("as it is", "as it is"), (None, "null"), (Point(1), '{"x":1}'), ([1, "é"], '[1,"é"]'), ("a\ud800", "a\ufffd")],
)
def test_results_are_text_that_can_be_saved(tmp_path: Path, value: object, text: str) -> None:
    @tool
    def give() -> object:
        """Give it."""
        return value

    assert call(give, tmp_path) == text


@pytest.mark.parametrize("error", [SystemExit("usage"), KeyboardInterrupt(), StopIteration()])
@pytest.mark.parametrize("is_async", [True, False])
def test_a_tool_cannot_end_the_program(tmp_path: Path, error: BaseException, is_async: bool) -> None:
    def leave() -> None:
        """Leave."""
        raise error

    async def leave_later() -> None:
        """Leave."""
        raise error

    with pytest.raises(RuntimeError, match=f"raised {type(error).__name__}"):
        call(tool(leave_later if is_async else leave), tmp_path)


def test_a_result_that_cannot_be_json_is_a_fault_of_the_tool(tmp_path: Path) -> None:
    @tool
    def give() -> object:
        """Give it."""
        return object()

    with pytest.raises(ToolError, match="faulty: it returned object"):
        call(give, tmp_path)


def test_a_missing_docstring_or_type_raises_when_decorated() -> None:
    def silent(a: int) -> None: ...

    def untyped(a) -> None:  # type: ignore[no-untyped-def]
        """Do."""

    def open_ended(*names: str) -> None:
        """Do."""

    def _hidden() -> None:
        """Do."""

    def unlike(a: Place | Point) -> None:
        """Do."""

    for function, words in (
        (silent, "needs a docstring"),
        (untyped, "parameter a needs a type"),
        (open_ended, r"\*names: str cannot be filled"),
        (_hidden, "cannot be a tool's name"),
        (unlike, "union"),
    ):
        with pytest.raises(TypeError, match=words):
            tool(function)
