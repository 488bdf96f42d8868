"""Requests to models stay within the limits, and responses are saved even if interrupted."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from prompt_objects.config.environment_schema import Prices
from prompt_objects.environment.environment import Environment
from prompt_objects.errors import BrokenStream, LLMError, RateLimited
from prompt_objects.llm.base import LLM, Completion, Request, RetryScheduled, TextChunk, Usage
from prompt_objects.llm.connection import ModelConnection
from prompt_objects.llm.fallback import FallbackChain
from prompt_objects.llm.pricing import Pricing, given_pricing, no_pricing
from prompt_objects.llm.rehearsal import Rehearsal
from prompt_objects.runtime.events import BudgetUpdated, Notice, TextDelta
from prompt_objects.testing import ScriptedLLM, calls
from prompt_objects.turns.message_writer import MessageWriter
from prompt_objects.turns.model_calls import ModelCalls
from tests.support.environments import open_env
from tests.support.strict_protocol import request_violations, violations


async def test_failing_model_leaves_the_message_and_the_partial_answer(tmp_path: Path) -> None:
    class Breaks:
        model = "breaks"

        async def stream(self, request: Request) -> AsyncGenerator[TextChunk | Completion, None]:
            yield TextChunk("Half an ")
            raise BrokenStream("it broke off")

        async def close(self) -> None:
            pass

    async with open_env(tmp_path, Breaks()) as env:
        with pytest.raises(BrokenStream):
            await env["scout"].receive("Go")
        history = env["scout"].session_manager.current().history
        assert [m["content"] for m in history] == ["Go", "Half an "]
        assert history[1]["interrupted"] == "error"


async def test_a_session_goes_on_after_requests_that_failed(tmp_path: Path) -> None:
    llm = ScriptedLLM([LLMError("refused"), LLMError("refused"), "Yes."])
    async with open_env(tmp_path, llm) as env:
        for message in ("one", "two"):
            with pytest.raises(LLMError):
                await env["scout"].receive(message)
        assert (await env["scout"].receive("three")).text == "Yes."
        messages = list(llm.requests[-1].messages)
        assert request_violations(messages) == []
        assert messages[-1] == {"role": "user", "content": "one\n\ntwo\n\nthree"}


async def test_cancelled_reply_keeps_the_partial_answer(tmp_path: Path) -> None:
    async with open_env(tmp_path, ScriptedLLM(["one two three four"], delay=0.05)) as env:
        received = ""
        async with aclosing(env["scout"].stream("Go")) as events:
            async for event in events:
                received += event.text if isinstance(event, TextDelta) else ""
                if "two" in received:
                    break
        history = env["scout"].session_manager.current().history
        assert history[-1]["interrupted"] == "cancelled"
        assert history[-1]["content"].startswith("one two")
        assert "four" not in history[-1]["content"]


async def test_the_limit_of_turns_ends_in_one_last_request_without_tools(tmp_path: Path) -> None:
    objects = {"scout": "name: scout\ncapabilities: [list_files]\nlimits: {requests: 2}\nprompt: Look.\n"}
    llm = ScriptedLLM([calls(("list_files", {})), calls(("list_files", {})), "That is all I know."])
    async with open_env(tmp_path, llm, objects) as env:
        reply = await env["scout"].receive("Go")
        assert reply.text == "That is all I know."
        assert [len(request.tools) for request in llm.requests] == [1, 1, 0]
        assert violations(list(llm.requests[-1].messages)) == []
        assert "limit of 2" in llm.requests[-1].messages[-1]["content"]


async def test_model_that_calls_a_tool_at_its_limit_gives_a_text_answer(tmp_path: Path) -> None:
    objects = {"scout": "name: scout\ncapabilities: [list_files]\nlimits: {requests: 1}\nprompt: Look.\n"}
    llm = ScriptedLLM([calls(("list_files", {})), calls(("list_files", {}))])
    async with open_env(tmp_path, llm, objects) as env:
        reply = await env["scout"].receive("Go")
        assert "no more calls were possible" in reply.text
        assert "tool_calls" not in reply.session.history[-1]


async def test_a_limit_of_tokens_bounds_the_answer_and_ends_in_a_summary(tmp_path: Path) -> None:
    objects = {"scout": "name: scout\ncapabilities: [list_files]\nlimits: {tokens: 3000}\nprompt: Look.\n"}
    llm = ScriptedLLM([calls(("list_files", {})), "x" * 9000, "unused"])
    async with open_env(tmp_path, llm, objects) as env:
        spent = [event.amount async for event in env["scout"].stream("Go") if isinstance(event, BudgetUpdated)]
        first = llm.requests[0].options["max_completion_tokens"]
        assert 2000 < first < 3000
        assert [amount.requests for amount in spent] == [1, 2]


class Slow:
    """A model whose responses take 40 seconds by the clock of the loop, which it advances."""

    model = "slow"

    async def stream(self, request: Request) -> AsyncGenerator[TextChunk | Completion, None]:
        if request.tools:
            yield Completion(calls(("list_files", {})), Usage(3, 2), "tool_calls")
            return
        loop, past = asyncio.get_running_loop(), asyncio.get_running_loop().time
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "time", lambda: past() + 40)
            await asyncio.sleep(0.05)
        yield TextChunk("That is all.")
        yield Completion({"role": "assistant", "content": "That is all."}, Usage(3, 2), "stop")

    async def close(self) -> None:
        pass


async def test_final_request_has_no_time_limit_without_one_of_its_own(tmp_path: Path) -> None:
    objects = {"scout": "name: scout\ncapabilities: [list_files]\nlimits: {requests: 1}\nprompt: Look.\n"}
    async with open_env(tmp_path, Slow(), objects) as env:
        assert (await env["scout"].receive("Go")).text == "That is all."


async def test_the_final_request_after_a_time_limit_is_retried(tmp_path: Path) -> None:
    class Busy:
        model = "busy"
        is_first = True

        async def stream(self, request: Request) -> AsyncGenerator[TextChunk | RetryScheduled | Completion, None]:
            if self.is_first:
                self.is_first = False
                await asyncio.sleep(60)
            yield RetryScheduled(RateLimited("Too many requests."), 0.1)
            yield Completion({"role": "assistant", "content": "Summed up."}, Usage(3, 2), "stop")

        async def close(self) -> None:
            pass

    objects = {"scout": "name: scout\nlimits: {seconds: 0.5}\nprompt: Look.\n"}
    async with open_env(tmp_path, Busy(), objects) as env:
        assert (await env["scout"].receive("Go")).text == "Summed up."


async def test_interrupted_answers_count_with_the_text_received(tmp_path: Path) -> None:
    class Breaks(ScriptedLLM):
        async def stream(self, request: Request) -> AsyncGenerator[TextChunk | Completion, None]:
            if not self.requests:
                self.requests.append(request)
                yield TextChunk("word " * 3000)
                await asyncio.sleep(60)
            async for part in super().stream(request):
                yield part

    objects = {
        "boss": "name: boss\nlimits: {tokens: 20000}\ncapabilities: [scout]\nprompt: Ask.\n",
        "scout": "name: scout\nlimits: {seconds: 0.5}\nprompt: Look.\n",
    }
    async with open_env(tmp_path, Breaks(["Summed up."]), objects) as env:
        context = env.context().enter(env["boss"].definition, env["boss"].session_manager.current())
        assert (await env["scout"].receive("Go", context.delegate("scout"))).text == "Summed up."
        assert context.budget is not None
        heard_again = 15_000 // 4  # by the model's own count, for the first text
        assert 5000 < context.budget.spent.tokens - heard_again < 5200


@pytest.mark.parametrize("reason", ["length", "content_filter", "insufficient_system_resource", "model_length"])
async def test_a_response_ended_early_is_kept_with_its_reason_and_reported(tmp_path: Path, reason: str) -> None:
    class Short:
        model = "short"

        async def stream(self, request: Request) -> AsyncGenerator[TextChunk | Completion, None]:
            yield TextChunk("Half an")
            yield Completion({"role": "assistant", "content": "Half an"}, Usage(3, 2), reason)

        async def close(self) -> None:
            pass

    async with open_env(tmp_path, Short()) as env:
        notices = [event.text async for event in env["scout"].stream("Go") if isinstance(event, Notice)]
        assert notices == [f"The server ended the response early ({reason})."]
        last = env["scout"].session_manager.current().history[-1]
        assert (last["content"], last["interrupted"], last["usage"]["prompt_tokens"]) == ("Half an", reason, 3)


async def test_inapplicable_cost_limit_is_reported_once_per_message(tmp_path: Path) -> None:
    objects = {
        "boss": "name: boss\ncapabilities: [scout]\nlimits: {cost: 1}\nprompt: Ask.\n",
        "scout": "name: scout\ncapabilities: [list_files]\nlimits: {cost: 1}\nprompt: Look.\n",
    }
    ask = calls(("scout", {"message": "Look"}))
    llm = ScriptedLLM([ask, calls(("list_files", {})), "One", ask, "Two", "Done", "Again"])
    async with open_env(tmp_path, llm, objects) as env:
        with env.bus.subscribe() as news:
            await env["boss"].receive("Go")
            (notice,) = [event for event in news.drain() if isinstance(event, Notice)]
            assert notice.path == ("boss",)
            assert "does not apply to scripted: its prices are unknown" in notice.text
            await env["boss"].receive("Go on")
            assert [event.path for event in news.drain() if isinstance(event, Notice)] == [("boss",)]


class Invoicing:
    """A model whose server reports the cost of a response."""

    model = "invoicing"

    async def stream(self, request: Request) -> AsyncGenerator[TextChunk | Completion, None]:
        yield Completion({"role": "assistant", "content": "Hi"}, Usage(10, 10, cost=0.1), "stop")

    async def close(self) -> None:
        pass


async def told_of(env: Environment, *connections: ModelConnection) -> list[str]:
    """Send requests to these models in one turn; return the notices to the user."""
    po = env["scout"]
    session = po.session_manager.current()
    context = env.context().enter(po.definition, session)
    assert context.budget is not None
    writer = MessageWriter(context, session, po.session_manager)
    model_calls = ModelCalls(po.definition, context, session, context.budget, writer.save)
    with env.bus.subscribe() as news:
        await writer.save({"role": "user", "content": "Go"})
        for connection in connections:
            await model_calls.complete(FallbackChain(connection), [])
        return [event.text for event in news.drain() if isinstance(event, Notice)]


async def test_each_unpriced_model_is_reported_once_with_a_hint(tmp_path: Path) -> None:
    large, small = (
        ModelConnection(ScriptedLLM(["Hi", "Ho"], model=name), "somewhere") for name in ("large", "small")
    )
    objects = {"scout": "name: scout\nlimits: {cost: 0.5}\nprompt: Look.\n"}
    async with open_env(tmp_path, ScriptedLLM(), objects) as env:
        first, second = await told_of(env, large, large, small)
    assert first.startswith("The cost limit does not apply to large: its prices are unknown.")
    assert "`prices` under `models` in environment.yaml" in first
    assert "does not apply to small" in second


@pytest.mark.parametrize(
    ("llm", "pricing", "limits"),
    [
        (ScriptedLLM(["Hi"]), no_pricing, "tokens: 20000"),
        (Invoicing(), no_pricing, "cost: 0.5"),
        (ScriptedLLM(["Hi"]), given_pricing(Prices(1, 2)), "cost: 0.5"),
        (Rehearsal(), no_pricing, "cost: 0.5"),
    ],
    ids=["no limit of cost", "the server says what it cost", "prices are given", "nothing is to be paid"],
)
async def test_nothing_is_reported_if_the_cost_limit_applies_or_there_is_none(
    tmp_path: Path, llm: LLM, pricing: Pricing, limits: str
) -> None:
    objects = {"scout": f"name: scout\nlimits: {{{limits}}}\nprompt: Look.\n"}
    async with open_env(tmp_path, ScriptedLLM(), objects) as env:
        assert await told_of(env, ModelConnection(llm, "somewhere", pricing)) == []
