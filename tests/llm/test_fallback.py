"""Fallbacks of a model: notices, history and budget."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.environment.prompt_object import PromptObject
from prompt_objects.errors import BrokenStream, LLMError, RateLimited, ServerFailed
from prompt_objects.runtime.events import BudgetUpdated, Event, Notice
from prompt_objects.sessions.session import Session
from tests.support.environments import make_env
from tests.support.openai_server import Behaviour, OpenAIServer, calls, chunk, error, hang, status, stream, text
from tests.support.strict_protocol import request_violations, violations

MODELS = """\
models:
  first: {{model: first, base_url: '{first}', prices: {{prompt: 1, completion: 1}}}}
  second: {{model: second, base_url: '{second}', prices: {{prompt: 1000, completion: 0}}}}
  third: {{model: third, base_url: '{second}'}}
"""
SCOUT = "name: scout\nmodel: {use: first, fallback: [second, third]}\ncapabilities: [list_files]\nprompt: You look.\n"
REFUSED = status(500, x_should_retry="false")


@pytest.fixture
def servers() -> Iterator[tuple[OpenAIServer, OpenAIServer]]:
    with OpenAIServer() as first, OpenAIServer() as second:
        yield first, second


def open_team(folder: Path, servers: tuple[OpenAIServer, OpenAIServer], scout: str = SCOUT) -> Environment:
    make_env(folder, {"scout": scout})
    first, second = servers
    text = MODELS.format(first=first.base_url, second=second.base_url)
    (folder / "environment.yaml").write_text(text)
    return Environment.open(folder, environ={})


async def send(po: PromptObject, message: str, session: Session) -> tuple[list[Event], LLMError | None]:
    """Send a message; return the events, and the error if there was one."""
    events: list[Event] = []
    try:
        async for event in po.stream(message, session=session):
            events.append(event)  # noqa: PERF401 - a comprehension would lose the events before an error
    except LLMError as error_of_turn:
        return events, error_of_turn
    return events, None


def notices(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


@pytest.mark.parametrize(
    "refusal",
    [
        REFUSED,
        error(404, "no such model"),
        status(429, retry_after="60"),
        stream(chunk({"content": ""}), end="silent"),
        error(400, "prompt is too long: 210000 tokens > 200000 maximum"),
        error(403, "Country, region, or territory not supported", code="unsupported_country_region_territory"),
    ],
    ids=["failed", "unknown", "busy", "incomplete", "too long", "region"],
)
async def test_a_fallback_responds_and_is_named_in_the_notice_and_the_message(
    tmp_path: Path, servers: tuple[OpenAIServer, OpenAIServer], refusal: Behaviour
) -> None:
    servers[0].script(refusal)
    servers[1].script(text("From the second."))
    async with open_team(tmp_path, servers) as env:
        session = env["scout"].session_manager.current()
        events, error_of_turn = await send(env["scout"], "Hello", session)
        assert error_of_turn is None
        (notice,) = notices(events)
        assert notice.startswith("second responds instead: ")
        assert "first at http://127.0.0.1:" in notice
        assert [(m["role"], m["content"], m.get("model")) for m in session.history] == [
            ("user", "Hello", None),
            ("assistant", "From the second.", "second"),
        ]
        assert servers[1].received[0].body["model"] == "second"


async def test_a_fallback_responds_if_the_server_cannot_be_reached(
    tmp_path: Path, servers: tuple[OpenAIServer, OpenAIServer]
) -> None:
    servers[0].script(*[hang(0)] * 4)
    servers[1].script(text("Here."))
    async with open_team(tmp_path, servers) as env:
        session = env["scout"].session_manager.current()
        events, error_of_turn = await send(env["scout"], "Hello", session)
        assert error_of_turn is None
        *retries, fallback = notices(events)
        assert all(notice.startswith("Retrying in ") for notice in retries)
        assert fallback.startswith("second responds instead: ")


@pytest.mark.parametrize("code", [400, 401, 402, 403, 422])
async def test_errors_that_the_user_must_fix_use_no_fallback(
    tmp_path: Path, servers: tuple[OpenAIServer, OpenAIServer], code: int
) -> None:
    servers[0].script(error(code, "No."))
    async with open_team(tmp_path, servers) as env:
        events, error_of_turn = await send(env["scout"], "Hello", env["scout"].session_manager.current())
        assert error_of_turn is not None
        assert notices(events) == []
        assert servers[1].received == []


async def test_the_text_of_a_failed_model_is_kept_but_not_sent(
    tmp_path: Path, servers: tuple[OpenAIServer, OpenAIServer]
) -> None:
    servers[0].script(stream(chunk({"content": "Half of "}), chunk({"content": "it"}), end="cut"))
    servers[1].script(text("All of it."), text("Yes."))
    async with open_team(tmp_path, servers) as env:
        session = env["scout"].session_manager.current()
        await send(env["scout"], "Hello", session)
        servers[0].script(REFUSED)
        await send(env["scout"], "Sure?", session)
        partial, complete = session.history[1:3]
        assert (partial["content"], partial["model"], partial["interrupted"]) == ("Half of it", "first", "error")
        assert (complete["content"], complete["model"], complete["replaces"]) == ("All of it.", "second", [1, 2])
        first, second = (received.body["messages"] for received in servers[1].received)
        assert [message["content"] for message in first] == ["You look.", "Hello"]
        assert [message["content"] for message in second] == ["You look.", "Hello", "All of it.", "Sure?"]
        assert violations(first) == violations(second) == []


async def test_fields_of_the_first_server_go_back_to_it_and_not_to_the_second(
    tmp_path: Path, servers: tuple[OpenAIServer, OpenAIServer]
) -> None:
    call = {
        "index": 0,
        "id": "a",
        "function": {"name": "list_files", "arguments": "{}"},
        "extra_content": "SIGNATURE",
    }
    thought = stream(chunk({"reasoning_content": "THOUGHT"}), chunk({"tool_calls": [call]}), chunk({}, "tool_calls"))
    servers[0].script(thought, text("Found."), REFUSED)
    servers[1].script(text("Here."))
    async with open_team(tmp_path, servers) as env:
        session = env["scout"].session_manager.current()
        await send(env["scout"], "Look", session)
        await send(env["scout"], "Again", session)
    own = servers[0].received[1].body["messages"]
    assert own[2]["reasoning_content"] == "THOUGHT"
    assert own[2]["tool_calls"][0]["extra_content"] == "SIGNATURE"
    assert request_violations(servers[1].received[0].body["messages"]) == []


async def test_after_two_incomplete_responses_only_the_third_is_sent(
    tmp_path: Path, servers: tuple[OpenAIServer, OpenAIServer]
) -> None:
    servers[0].script(text("Old."), stream(chunk({"content": "One"}), end="cut"), text("Well."))
    servers[1].script(stream(chunk({"content": "Two"}), end="cut"), text("Three."))
    async with open_team(tmp_path, servers) as env:
        session = env["scout"].session_manager.current()
        await send(env["scout"], "Hello", session)
        reply = await env["scout"].retry(session=session)  # replaces "Old."
        assert (reply.text, reply.model) == ("Three.", "third")
        await send(env["scout"], "And?", session)
        sent = servers[0].received[-1].body["messages"]
        assert [message["content"] for message in sent] == ["You look.", "Hello", "Three.", "And?"]


async def test_a_fallback_is_used_until_the_end_of_the_turn(
    tmp_path: Path, servers: tuple[OpenAIServer, OpenAIServer]
) -> None:
    servers[0].script(REFUSED, text("Back."))
    servers[1].script(calls(("list_files", {})), text("Done."))
    async with open_team(tmp_path, servers) as env:
        session = env["scout"].session_manager.current()
        assert (await env["scout"].receive("List", session=session)).model == "second"
        assert (await env["scout"].receive("Again", session=session)).model == "first"
        assert [len(server.received) for server in servers] == [2, 2]


async def test_if_no_model_responds_the_last_error_is_raised_and_each_is_reported(
    tmp_path: Path, servers: tuple[OpenAIServer, OpenAIServer]
) -> None:
    servers[0].script(REFUSED)
    servers[1].script(REFUSED, status(429, retry_after="60"))
    async with open_team(tmp_path, servers) as env:
        session = env["scout"].session_manager.current()
        events, error_of_turn = await send(env["scout"], "Hello", session)
        assert isinstance(error_of_turn, RateLimited)
        assert [notice.partition(":")[0] for notice in notices(events)] == [
            "second responds instead",
            "third responds instead",
        ]
        assert [message["role"] for message in session.history] == ["user"]


async def test_an_invalid_fallback_is_skipped_with_a_notice(
    tmp_path: Path, servers: tuple[OpenAIServer, OpenAIServer]
) -> None:
    servers[0].script(REFUSED)
    servers[1].script(text("Here."))
    scout = SCOUT.replace("[second, third]", "[broken, second]")
    env = open_team(tmp_path, servers, scout)
    text_of_config = (tmp_path / "environment.yaml").read_text()
    env.close()
    (tmp_path / "environment.yaml").write_text(text_of_config + "  broken: {model: x, base_url: 'http://a:0/v1'}\n")
    async with Environment.open(tmp_path, environ={}) as env:
        events, error_of_turn = await send(env["scout"], "Hello", env["scout"].session_manager.current())
        assert error_of_turn is None
        unusable, fallback = notices(events)
        assert unusable.startswith("A fallback cannot be used: The address of the model x")
        assert fallback.startswith("second responds instead")


async def test_a_model_that_the_user_selected_has_no_fallback(
    tmp_path: Path, servers: tuple[OpenAIServer, OpenAIServer]
) -> None:
    servers[0].script(REFUSED)
    async with open_team(tmp_path, servers) as env:
        env.models.select("first", env["scout"].definition)
        events, error_of_turn = await send(env["scout"], "Hello", env["scout"].session_manager.current())
        assert isinstance(error_of_turn, ServerFailed)
        assert notices(events) == []


@pytest.mark.parametrize("is_selected", [True, False], ids=["without a fallback", "with a fallback"])
async def test_a_server_that_loads_its_model_is_waited_for_unless_there_is_a_fallback(
    tmp_path: Path, servers: tuple[OpenAIServer, OpenAIServer], monkeypatch: pytest.MonkeyPatch, *, is_selected: bool
) -> None:
    monkeypatch.setattr("prompt_objects.llm.chat_api.retries.LOADING_DELAY", 0.01)
    servers[0].script(*[error(503, "Loading model")] * 5, text("Loaded."))
    servers[1].script(text("At once."))
    async with open_team(tmp_path, servers) as env:
        if is_selected:
            env.models.select("first", env["scout"].definition)
        events, error_of_turn = await send(env["scout"], "Hello", env["scout"].session_manager.current())
        assert error_of_turn is None
        (notice,) = notices(events)
        reply = env["scout"].session_manager.current().history[-1]["content"]
    assert "is still loading its model" in notice
    assert notice.startswith("Waiting for the model: " if is_selected else "second responds instead: ")
    assert reply == ("Loaded." if is_selected else "At once.")


async def test_a_refused_request_costs_nothing_and_a_response_costs_the_price_of_its_model(
    tmp_path: Path, servers: tuple[OpenAIServer, OpenAIServer]
) -> None:
    servers[0].script(REFUSED)
    servers[1].script(text("Here."))  # 12 prompt tokens, 3 completion tokens
    scout = SCOUT.replace("capabilities", "limits: {requests: 1, tokens: 20000, cost: 1000}\ncapabilities")
    async with open_team(tmp_path, servers, scout) as env:
        events, error_of_turn = await send(env["scout"], "Hello", env["scout"].session_manager.current())
        assert error_of_turn is None
        (spent,) = [event for event in events if isinstance(event, BudgetUpdated)]
        assert (spent.amount.requests, spent.amount.tokens) == (1, 15)
        assert spent.amount.cost == pytest.approx(0.012)


async def test_an_incomplete_response_counts_with_an_estimate(
    tmp_path: Path, servers: tuple[OpenAIServer, OpenAIServer]
) -> None:
    servers[0].script(stream(chunk({"content": "Half"}), end="cut"))
    servers[1].script(text("Here."))
    scout = SCOUT.replace("capabilities", "limits: {tokens: 20000}\ncapabilities")
    async with open_team(tmp_path, servers, scout) as env:
        events, _ = await send(env["scout"], "Hello", env["scout"].session_manager.current())
        (spent,) = [event for event in events if isinstance(event, BudgetUpdated)]
        assert spent.amount.requests == 2
        assert spent.amount.tokens > 15


async def test_a_delay_is_reported_and_can_be_cancelled_immediately(
    tmp_path: Path, servers: tuple[OpenAIServer, OpenAIServer]
) -> None:
    servers[0].script(status(429, {"error": {"message": "Slow down."}}, retry_after="20"))
    async with open_team(tmp_path, servers) as env:
        session = env["scout"].session_manager.current()
        context = env.context()
        with env.bus.subscribe() as events:
            turn = asyncio.create_task(env["scout"].receive("Hello", context, session))
            notice = await anext(event.text async for event in events if isinstance(event, Notice))
            assert notice.startswith("Retrying in 2")
            assert "Slow down." in notice
            start = time.monotonic()
            turn.cancel()
            with pytest.raises(asyncio.CancelledError):
                await turn
            assert time.monotonic() - start < 5
        assert [message["role"] for message in session.history] == ["user"]


async def test_a_delay_over_the_time_limit_is_not_started(
    tmp_path: Path, servers: tuple[OpenAIServer, OpenAIServer]
) -> None:
    servers[0].script(status(429, retry_after="20"))
    servers[1].script(text("Here."))
    scout = SCOUT.replace("capabilities", "limits: {seconds: 5}\ncapabilities")
    async with open_team(tmp_path, servers, scout) as env:
        start = time.monotonic()
        assert (await env["scout"].receive("Hello")).model == "second"
        assert time.monotonic() - start < 3


async def test_without_fallbacks_the_error_is_raised(
    tmp_path: Path, servers: tuple[OpenAIServer, OpenAIServer]
) -> None:
    servers[0].script(stream(chunk({"content": "Half"}), end="cut"))
    async with open_team(tmp_path, servers, SCOUT.replace("[second, third]", "[]")) as env:
        session = env["scout"].session_manager.current()
        events, error_of_turn = await send(env["scout"], "Hello", session)
        assert isinstance(error_of_turn, BrokenStream)
        assert notices(events) == []
        assert session.history[-1]["content"] == "Half"
