"""The built-in export formats."""

import json

import pytest

from prompt_objects.errors import UsageError
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session

pytest_plugins = ["tests.support.store_fixtures"]

CALL = {"id": "c1", "type": "function", "function": {"name": "read_file", "arguments": '{"path": "README.md"}'}}


def test_markdown_shows_each_role_and_no_content_ends_its_code_block(
    manager: SessionManager, session: Session
) -> None:
    session.append(
        {"role": "user", "content": "Hello", "at": "2026-01-02T03:04:05.000000Z"},
        {"role": "assistant", "content": "", "tool_calls": [CALL], "model": "gpt"},
        {"role": "tool", "tool_call_id": "c1", "content": "````\n# not a heading\n````"},
    )
    text = manager.export("Notes")
    assert text.startswith(f"# Notes\n\nSession `{session.id}` of reader · 3 messages")
    assert "## User · 2026-01-02 03:04\n\nHello\n" in text
    assert 'Calls **read_file**\n\n```json\n{\n  "path": "README.md"\n}\n```' in text
    assert "`````\n````\n# not a heading\n````\n`````" in text


def test_markdown_can_be_encoded_for_any_content(manager: SessionManager, session: Session) -> None:
    session.append(
        {"role": "user", "content": "half \ud800"}, {"role": "assistant", "content": None, "tool_calls": [{}]}
    )
    manager.export("Notes").encode()


def test_json_has_all_keys_of_the_document(manager: SessionManager, session: Session) -> None:
    session.set_metadata({"a": 1})
    session.append({"role": "user", "content": "half \ud800", "extra": [1]})
    document = json.loads(manager.export("Notes", "json").encode())
    assert document["history"] == list(session.history)
    assert (document["id"], document["name"], document["po_name"]) == (session.id, "Notes", "reader")
    assert document["metadata"] == {"a": 1}
    assert list(document)[-1] == "updated_at"


def test_the_error_for_an_unknown_format_lists_the_formats(manager: SessionManager, session: Session) -> None:
    with pytest.raises(UsageError) as caught:
        manager.export("Notes", "xyzzy")
    assert "json" in caught.value.hint
    assert "markdown" in caught.value.hint


def test_markdown_marks_an_answer_that_a_retry_replaced(manager: SessionManager, session: Session) -> None:
    session.append(
        {"role": "user", "content": "Go"},
        {"role": "assistant", "content": "old"},
        {"role": "assistant", "content": "new", "replaces": [1, 2]},
    )
    text = manager.export(session.id)
    assert text.count("(replaced)") == 1
    assert text.index("(replaced)") < text.index("old") < text.index("new")
