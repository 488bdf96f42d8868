"""The kind of an argument comes from its format in the JSON Schema, or from its name."""

from typing import Any

import pytest

from prompt_objects.config.argument_kind import kind_of


@pytest.mark.parametrize(
    ("name", "schema", "kind"),
    [
        ("path", {}, "path"),
        ("url", {}, "url"),
        ("command", {}, "command"),
        ("file_path", {}, "path"),
        ("sourcePath", {}, "path"),
        ("targetURL", {}, "url"),
        ("paths", {"type": "array", "items": {"type": "string"}}, "path"),
        ("target", {"format": "uri"}, "url"),
        ("where", {"anyOf": [{"type": "string", "format": "path"}, {"type": "null"}]}, "path"),
        ("where", {"type": "array", "items": {"format": "uri"}}, "url"),
        ("path", {"format": "uri"}, "url"),
        ("content", {"type": "string"}, "text"),
        ("pathology", {}, "text"),
        ("", {}, "text"),
        ("x", {"format": 1, "anyOf": "no", "items": None}, "text"),
    ],
)
def test_the_kind_of_an_argument_comes_from_its_format_or_its_name(
    name: str, schema: dict[str, Any], kind: str
) -> None:
    assert kind_of(name, {"properties": {name: schema}}) == kind


def test_references_in_a_schema_are_followed_but_not_in_a_circle() -> None:
    where = {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/Place"}}, {"type": "null"}]}
    place = {"type": "string", "format": "path"}
    assert kind_of("where", {"properties": {"where": where}, "$defs": {"Place": place}}) == "path"
    broken: tuple[Any, ...] = ({"Place": {"$ref": "#/$defs/Place"}}, {"Place": 1}, [], None)
    for defs in broken:
        assert kind_of("where", {"properties": {"where": where}, "$defs": defs}) == "text"


def test_in_a_broken_schema_of_a_server_the_names_decide() -> None:
    broken: list[dict[str, Any]] = [
        {"properties": {"path": None, "a": True}},
        {"properties": []},
        {"properties": 1},
        {},
    ]
    for parameters in broken:
        assert (kind_of("path", parameters), kind_of("a", parameters)) == ("path", "text")
