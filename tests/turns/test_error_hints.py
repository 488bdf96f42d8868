"""A session that a model cannot read any more is not a dead end."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from prompt_objects.errors import ContextTooLong, LLMError
from prompt_objects.message import Message
from prompt_objects.testing import ScriptedLLM
from prompt_objects.turns.error_hints import add_hint
from tests.support.environments import open_env
from tests.support.messages import call, sent_messages

request_of = partial(sent_messages, "prompt")


def exchange(number: int, tokens: int | None = None) -> list[Message]:
    usage = {} if tokens is None else {"usage": {"prompt_tokens": tokens}}
    return [{"role": "user", "content": f"Q{number}"}, {"role": "assistant", "content": f"A{number}", **usage}]


def hint(error: LLMError, history: Sequence[Message]) -> str:
    add_hint(error, history, request_of)
    return error.hint


def test_a_full_context_names_how_many_messages_leave_half_of_it_free() -> None:
    history = [message for number in range(1, 9) for message in exchange(number, 100 * number)]
    shown = hint(ContextTooLong("Too long.", hint="Base."), [*history, {"role": "user", "content": "Next"}])
    assert shown.startswith("Base. In the chat, /session branch 8 continues in a copy with the first 8 messages")
    assert "/session truncate 8" in shown


def test_without_usage_it_is_half_of_the_exchanges() -> None:
    history = [message for number in range(4) for message in exchange(number)]
    shown = hint(ContextTooLong("Too long."), [*history, {"role": "user", "content": "Next"}])
    assert "/session truncate 4 " in shown


@pytest.mark.parametrize(
    "history", [[], [{"role": "user", "content": "Q"}], [*exchange(1), {"role": "user", "content": "Q"}]]
)
def test_a_session_of_one_exchange_has_nothing_to_leave_out(history: list[Message]) -> None:
    assert hint(ContextTooLong("Too long.", hint="Base."), history) == "Base."


def test_the_message_that_a_server_refuses_is_named_with_a_way_out() -> None:
    asked: Message = {"role": "assistant", "content": "", "tool_calls": [call("a"), call("b")]}
    results = [{"role": "tool", "tool_call_id": each, "content": "r"} for each in "ab"]
    history = [*exchange(1), {"role": "user", "content": "Look"}, asked, *results, *exchange(2), *exchange(3)]
    sent = request_of(history)
    index = next(number for number, message in enumerate(sent) if message["content"] == "Q2")
    shown = hint(LLMError(f"m refused the request (400): messages[{index}].content is bad"), history)
    assert shown.startswith('It is message 7 of the session (user: "Q2").')
    assert "/session truncate 6 " in shown
    assert "/session branch 8 " in hint(LLMError("m refused the request (400): messages[99] is bad"), history)
    assert hint(LLMError("m refused the request (400): no"), history) == ""


def test_a_refused_conversation_can_go_on_after_the_last_reply() -> None:
    history = [*exchange(1), *exchange(2), {"role": "user", "content": "Odd"}]
    shown = hint(LLMError("m refused the request (400): invalid content"), history)
    assert "/session branch 4 " in shown
    assert hint(LLMError("m refused the request (422): temperature must be below 2"), history) == ""


async def test_the_error_of_a_turn_says_how_to_go_on(tmp_path: Path) -> None:
    llm = ScriptedLLM(["A1", "A2", "A3", ContextTooLong("Too long.", hint="Base.")])
    async with open_env(tmp_path, llm) as env:
        for _ in range(3):
            await env["scout"].receive("Q")
        with pytest.raises(ContextTooLong) as caught:
            await env["scout"].receive("Q")
        assert "/session truncate 2 " in caught.value.hint
