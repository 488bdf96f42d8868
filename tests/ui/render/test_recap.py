from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.testing import ScriptedLLM
from prompt_objects.ui.render.messages import recap
from prompt_objects.ui.render.style import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prompt_objects.message import Message
    from prompt_objects.sessions.session import Session


@pytest.fixture
def session(tmp_path: Path) -> "Iterator[Session]":
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects" / "guide.yaml").write_text("name: guide\nprompt: You help.\n")
    with Environment.open(tmp_path, llm=ScriptedLLM(), environ={}) as environment:
        yield environment["guide"].session_manager.create("API notes")


def test_the_recap_is_the_end_of_the_last_exchange(session: "Session") -> None:
    assert recap("guide", session, 60) == []
    messages: list[Message] = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "old"},
        {"role": "user", "content": "second"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "1", "function": {"name": "read_file", "arguments": '{"path": "a"}'}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "…"},
        {"role": "assistant", "content": "\n\n".join(f"line {n}" for n in range(100))},
    ]
    session.append(*messages)
    drawn = plain(recap("guide", session, 60)).splitlines()
    assert drawn[0] == "The end of API notes, just now:"
    assert drawn[1].endswith("second")
    assert drawn[2] == '→ read_file path="a"'
    assert drawn[-1] == "line 99"
    assert len(drawn) < 20


def test_a_replaced_answer_is_not_in_the_recap(session: "Session") -> None:
    session.append(*({"role": "user", "content": f"earlier {n}"} for n in range(60)))
    session.append({"role": "user", "content": "the question"}, {"role": "assistant", "content": "old answer"})
    session.append({"role": "assistant", "content": "new answer", "replaces": [61, 62]})
    drawn = plain(recap("guide", session, 60))
    assert "the question" in drawn
    assert "new answer" in drawn
    assert "old answer" not in drawn


@pytest.mark.parametrize("content", [None, 5, {"a": 1}, [1, 2], [{"type": "image_url"}], "[](http://x)"])
def test_malformed_content_never_makes_the_recap_fail(session: "Session", content: Any) -> None:
    session.append({"role": "user", "content": "asked"}, {"role": "assistant", "content": content, "tool_calls": 5})
    assert "asked" in plain(recap("guide", session, 60))


def test_a_missing_session_is_an_error_in_the_recap(session: "Session", tmp_path: Path) -> None:
    session.append({"role": "user", "content": "asked"})
    for file in (tmp_path / ".prompt_objects" / "sessions").glob("0*.json"):
        file.unlink()
    assert "✗" in plain(recap("guide", session, 60))
