"""The scripted model that ships for tests."""

import asyncio
import json
import subprocess
import sys

import pytest

from prompt_objects.errors import RateLimited
from prompt_objects.llm.base import Completion, Request, TextChunk
from prompt_objects.testing import ScriptedLLM, calls

HELLO = Request([{"role": "user", "content": "Hello"}])


async def ask(llm: ScriptedLLM) -> tuple[list[str], Completion]:
    *texts, completion = [part async for part in llm.stream(HELLO)]
    assert isinstance(completion, Completion)
    return [part.text for part in texts if isinstance(part, TextChunk)], completion


async def test_replies_come_in_order_streamed_by_the_word_and_requests_are_kept() -> None:
    llm = ScriptedLLM(["One two.", "Three\nfour."])
    assert (await ask(llm))[0] == ["One ", "two."]
    assert (await ask(llm))[0] == ["Three\n", "four."]
    assert llm.requests == [HELLO, HELLO]


async def test_calls_get_ids_and_arguments_as_json() -> None:
    _, completion = await ask(ScriptedLLM([calls(("read", {"n": 1}), ("read", {"n": 2}), text="Look:")]))
    assert completion.finish_reason == "tool_calls"
    assert completion.message["content"] == "Look:"
    made = completion.message["tool_calls"]
    assert [call["id"] for call in made] == ["call_1_1", "call_1_2"]
    assert [json.loads(call["function"]["arguments"]) for call in made] == [{"n": 1}, {"n": 2}]


async def test_the_same_reply_used_twice_makes_different_ids() -> None:
    again = calls(("read", {}))
    llm = ScriptedLLM([again, again])
    ids = [(await ask(llm))[1].message["tool_calls"][0]["id"] for _ in range(2)]
    assert ids == ["call_1_1", "call_2_1"]


async def test_an_error_is_raised() -> None:
    with pytest.raises(RateLimited):
        await ask(ScriptedLLM([RateLimited("Slow down.")]))


async def test_a_function_sees_the_request() -> None:
    texts, _ = await ask(ScriptedLLM([lambda request: request.messages[-1]["content"].upper()]))
    assert texts == ["HELLO"]


async def test_end_of_the_script_is_an_error() -> None:
    with pytest.raises(AssertionError, match="no reply left for request 1: user: 'Hello'"):
        await ask(ScriptedLLM())


async def test_a_delay_leaves_time_to_cancel() -> None:
    task = asyncio.create_task(ask(ScriptedLLM(["one two three"], delay=5)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_importing_it_imports_no_third_party() -> None:
    code = "import sys, prompt_objects.testing; print({'openai', 'rich', 'yaml', 'httpx2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
