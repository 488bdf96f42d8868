"""What a turn asks of models: answered within limits, and saved, also where an answer breaks off."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from houses import open_house
from prompt_objects.bus import Notice, Spent, TextDelta
from prompt_objects.errors import BrokenStream
from prompt_objects.llm import Completion, Request, Text, Usage
from prompt_objects.testing import ScriptedLLM, calls
from protocol import violations


async def test_a_model_that_fails_leaves_the_message_and_what_was_said(tmp_path: Path) -> None:
    class Breaks:
        model = "breaks"

        async def stream(self, request: Request) -> AsyncGenerator[Text | Completion, None]:
            yield Text("Half an ")
            raise BrokenStream("it broke off")

        async def close(self) -> None:
            pass

    async with open_house(tmp_path, Breaks()) as env:
        with pytest.raises(BrokenStream):
            await env["scout"].receive("Go")
        history = env["scout"].session_manager.current().history
        assert [m["content"] for m in history] == ["Go", "Half an "]
        assert history[1]["interrupted"] == "error"


async def test_a_cancelled_reply_keeps_what_had_been_said(tmp_path: Path) -> None:
    async with open_house(tmp_path, ScriptedLLM(["one two three four"], delay=0.05)) as env:
        said = ""
        async with aclosing(env["scout"].stream("Go")) as events:
            async for event in events:
                said += event.text if isinstance(event, TextDelta) else ""
                if "two" in said:
                    break
        history = env["scout"].session_manager.current().history
        assert history[-1]["interrupted"] == "cancelled"
        assert history[-1]["content"].startswith("one two")
        assert "four" not in history[-1]["content"]


async def test_the_limit_of_turns_ends_in_one_last_request_without_tools(tmp_path: Path) -> None:
    house = {"scout": "name: scout\ncapabilities: [list_files]\nlimits: {turns: 2}\nprompt: Look.\n"}
    llm = ScriptedLLM([calls(("list_files", {})), calls(("list_files", {})), "That is all I know."])
    async with open_house(tmp_path, llm, house) as env:
        reply = await env["scout"].receive("Go")
        assert reply.text == "That is all I know."
        assert [len(request.tools) for request in llm.requests] == [1, 1, 0]
        assert violations(list(llm.requests[-1].messages)) == []
        assert "limit of 2" in llm.requests[-1].messages[-1]["content"]


async def test_a_model_that_calls_at_its_limit_gives_an_answer_in_words(tmp_path: Path) -> None:
    house = {"scout": "name: scout\ncapabilities: [list_files]\nlimits: {turns: 1}\nprompt: Look.\n"}
    llm = ScriptedLLM([calls(("list_files", {})), calls(("list_files", {}))])
    async with open_house(tmp_path, llm, house) as env:
        reply = await env["scout"].receive("Go")
        assert "nothing could be called" in reply.text
        assert "tool_calls" not in reply.session.history[-1]


async def test_a_limit_of_tokens_bounds_the_answer_and_ends_in_a_summary(tmp_path: Path) -> None:
    house = {"scout": "name: scout\ncapabilities: [list_files]\nlimits: {tokens: 3000}\nprompt: Look.\n"}
    llm = ScriptedLLM([calls(("list_files", {})), "x" * 9000, "unused"])
    async with open_house(tmp_path, llm, house) as env:
        spent = [event.amount async for event in env["scout"].stream("Go") if isinstance(event, Spent)]
        first = llm.requests[0].options["max_completion_tokens"]
        assert 2000 < first < 3000
        assert [amount.turns for amount in spent] == [1, 2]


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_an_answer_that_the_server_cut_short_is_kept_with_the_reason_and_told(
    tmp_path: Path, reason: str
) -> None:
    class Short:
        model = "short"

        async def stream(self, request: Request) -> AsyncGenerator[Text | Completion, None]:
            yield Text("Half an")
            yield Completion({"role": "assistant", "content": "Half an"}, Usage(3, 2), reason)

        async def close(self) -> None:
            pass

    async with open_house(tmp_path, Short()) as env:
        told = [event.text async for event in env["scout"].stream("Go") if isinstance(event, Notice)]
        assert told == [f"The server cut the answer short ({reason})."]
        last = env["scout"].session_manager.current().history[-1]
        assert (last["content"], last["interrupted"], last["usage"]["prompt_tokens"]) == ("Half an", reason, 3)


async def test_a_limit_of_cost_that_cannot_hold_is_told_once_for_a_message_with_all_its_delegations(
    tmp_path: Path,
) -> None:
    house = {
        "boss": "name: boss\ncapabilities: [scout]\nlimits: {cost: 1}\nprompt: Ask.\n",
        "scout": "name: scout\ncapabilities: [list_files]\nlimits: {cost: 1}\nprompt: Look.\n",
    }
    ask = calls(("scout", {"message": "Look"}))
    llm = ScriptedLLM([ask, calls(("list_files", {})), "One", ask, "Two", "Done", "Again"])
    async with open_house(tmp_path, llm, house) as env:
        with env.bus.subscribe() as news:
            await env["boss"].receive("Go")
            (told,) = [event for event in news.drain() if isinstance(event, Notice)]
            assert told.path == ("boss",)
            assert "does not hold for scripted, whose prices are not known" in told.text
            await env["boss"].receive("Go on")
            assert [event.path for event in news.drain() if isinstance(event, Notice)] == [("boss",)]
