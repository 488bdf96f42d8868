"""Arguments that are a little off are read as they are meant."""

from typing import Any

import pytest

from prompt_objects.tools.arguments import plain_arguments

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "limit": {"type": "integer"},
        "deep": {"type": "boolean"},
        "ratio": {"type": "number"},
        "edits": {"type": "array"},
        "options": {"$ref": "#/$defs/Options"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "either": {"type": ["integer", "string"]},
        "anything": {},
    },
    "required": ["path"],
    "$defs": {"Options": {"type": "object"}},
}


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ({"limit": None, "options": None, "edits": None}, {}),
        ({"path": None}, {"path": None}),
        ({"note": None, "anything": None, "unknown": None}, {"note": None, "anything": None, "unknown": None}),
        ({"edits": '[{"a": 1}]', "options": '{"b": 2}'}, {"edits": [{"a": 1}], "options": {"b": 2}}),
        ({"limit": "5", "ratio": "0.5", "deep": "true"}, {"limit": 5, "ratio": 0.5, "deep": True}),
        ({"limit": "five", "deep": "1", "edits": "{}"}, {"limit": "five", "deep": "1", "edits": "{}"}),
        ({"limit": "true", "ratio": "true"}, {"limit": "true", "ratio": "true"}),
        ({"path": "5", "either": "5", "anything": "5"}, {"path": "5", "either": "5", "anything": "5"}),
        ({"edits": "[" * 100_000}, {"edits": "[" * 100_000}),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_arguments_are_changed_only_if_their_meaning_is_plain(given: dict[str, Any], plain: dict[str, Any]) -> None:
    assert plain_arguments(given, SCHEMA) == plain


@pytest.mark.parametrize(
    "schema", [{}, {"properties": []}, {"properties": {"a": True}}, {"properties": {"a": {"$ref": "x"}}}]
)
def test_a_schema_that_says_little_changes_nothing(schema: dict[str, Any]) -> None:
    assert plain_arguments({"a": None}, schema) == {"a": None}
