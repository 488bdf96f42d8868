"""The user gets one request at a time, and the time to answer counts for no limit."""

import asyncio
from pathlib import Path

import pytest

from prompt_objects.config.limits import Limits
from prompt_objects.environment.environment import Environment
from prompt_objects.runtime.budget import Budget
from prompt_objects.runtime.interaction import ApprovalRequest, Decision, InputRequest, Stopwatch, UserInteraction
from prompt_objects.testing import ScriptedLLM, calls
from tests.support.environments import make_env
from tests.support.interaction import Answers

ASKER = "name: asker\ncapabilities: [ask_human, write_file]\nlimits: {seconds: 0.4}\nprompt: Ask.\n"
BOSS = "name: boss\ncapabilities: [asker]\nlimits: {seconds: 0.5}\nprompt: Ask.\n"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("2", "blue"), (" RED ", "red"), ("3", "3"), ("neither", "neither"), ("9" * 5000, "9" * 5000), ("", "")],
)
def test_choice_is_given_by_number_or_text_and_any_other_answer_is_allowed(typed: str, meant: str) -> None:
    inquiry = InputRequest(path=("a",), session_id="", question="Which?", choices=("red", "blue"))
    assert inquiry.resolve(typed) == meant


async def test_simultaneous_requests_to_the_user_are_serialized_and_cost_no_time() -> None:
    user, budget = UserInteraction(), Budget("boss", Limits(seconds=0.05))
    order: list[str] = []

    async def take(name: str) -> None:
        async with user.exclusive(Budget(name, Limits(), budget)):
            order.append(f"{name} begins")
            await asyncio.sleep(0.1)
            order.append(f"{name} ends")

    await asyncio.gather(take("one"), take("two"))
    assert order == ["one begins", "one ends", "two begins", "two ends"]
    budget.check_time()


async def test_the_duration_of_a_call_does_not_contain_the_time_of_the_user() -> None:
    user, above = UserInteraction(), Stopwatch()
    durations: list[float] = []

    async def call() -> None:
        stopwatch = Stopwatch()
        with stopwatch.running():
            await asyncio.create_task(decide())  # a tool runs in a task of its own
            await asyncio.sleep(0.01)
        durations.append(stopwatch.seconds)

    async def decide() -> None:
        async with user.exclusive(None):
            await asyncio.sleep(0.2)

    with above.running():  # the call of a delegate that makes two calls at the same time
        await asyncio.gather(call(), call())
    assert all(0.01 <= seconds < 0.15 for seconds in [*durations, above.seconds])


async def test_time_limit_applies_to_other_turns_during_a_pause() -> None:
    above = Budget("boss", Limits())
    asks, works = Budget("asker", Limits(seconds=0.1), above), Budget("worker", Limits(seconds=0.1), above)
    with asks.paused():
        async with asks.timeout():
            with pytest.raises(TimeoutError):
                async with works.timeout():
                    await asyncio.sleep(5)
    async with asks.timeout():
        await asyncio.sleep(0)


async def test_time_limit_continues_after_the_answer_of_the_user() -> None:
    above = Budget("boss", Limits(seconds=0.2))
    child = Budget("asker", Limits(), above)

    async def waits_and_dawdles() -> None:
        with child.paused():
            await asyncio.sleep(0.4)
        await asyncio.sleep(5)

    with pytest.raises(TimeoutError):
        async with above.timeout():
            await asyncio.wait_for(waits_and_dawdles(), 2)
    assert 0.2 <= above.timer.seconds < 1


@pytest.mark.parametrize("start", ["asker", "boss"])
async def test_answer_of_the_user_may_take_any_time_also_for_a_delegate(tmp_path: Path, start: str) -> None:
    asked: list[InputRequest] = []

    async def ask(inquiry: InputRequest) -> str:
        asked.append(inquiry)
        await asyncio.sleep(0.8)  # longer than every limit
        return " by train \n"

    make_env(tmp_path, {"asker": ASKER, "boss": BOSS})
    question = calls(("ask_human", {"question": "How do you travel?", "choices": ["by car", "by train"]}))
    asking = [calls(("asker", {"message": "Ask"}))] if start == "boss" else []
    llm = ScriptedLLM([*asking, question, "By train, then.", "He takes the train."])
    async with Environment.open(tmp_path, llm=llm, environ={}) as env:
        env.interaction.handler = Answers(ask=ask)
        reply = await env[start].receive("Go")
    (inquiry,) = asked
    assert inquiry.path == (("boss", "asker") if start == "boss" else ("asker",))
    assert (inquiry.question, inquiry.choices) == ("How do you travel?", ("by car", "by train"))
    answers = [m["content"] for m in llm.requests[len(asking) + 1].messages if m["role"] == "tool"]
    assert answers == ["by train"]
    assert "limit" not in reply.text


async def test_without_a_handler_a_question_fails_immediately(tmp_path: Path) -> None:
    make_env(tmp_path, {"asker": ASKER})
    llm = ScriptedLLM([calls(("ask_human", {"question": "Why?"})), "I assumed it."])
    async with Environment.open(tmp_path, llm=llm, environ={}) as env:
        await asyncio.wait_for(env["asker"].receive("Go"), 5)
    assert "No user can be asked here" in llm.requests[1].messages[-1]["content"]


async def test_missing_answer_is_reported_and_an_empty_question_is_refused(tmp_path: Path) -> None:
    async def ask(_inquiry: InputRequest) -> str:
        return "  "

    make_env(tmp_path, {"asker": ASKER})
    llm = ScriptedLLM([calls(("ask_human", {"question": "Why?"}), ("ask_human", {"question": " "})), "So be it."])
    async with Environment.open(tmp_path, llm=llm, environ={}) as env:
        env.interaction.handler = Answers(ask=ask)
        reply = await env["asker"].receive("Go")
    first, second = [m["content"] for m in reply.session.history if m["role"] == "tool"]
    assert first.startswith("The user did not answer.")
    assert second == "Error: The question is empty."


async def test_questions_and_approvals_are_asked_one_at_a_time(tmp_path: Path) -> None:
    going_on = 0

    async def busy() -> None:
        nonlocal going_on
        going_on += 1
        assert going_on == 1
        await asyncio.sleep(0.02)
        going_on -= 1

    async def ask(inquiry: InputRequest) -> str:
        await busy()
        return inquiry.question[-1]

    async def approve(_question: ApprovalRequest) -> Decision:
        await busy()
        return "once"

    make_env(tmp_path, {"asker": ASKER})
    many = [("ask_human", {"question": f"Number {n}"}) for n in range(3)]
    written = [("write_file", {"path": f"{n}.txt", "content": "x"}) for n in range(2)]
    llm = ScriptedLLM([calls(*written, *many), "Done."])
    async with Environment.open(tmp_path, llm=llm, environ={}) as env:
        env.interaction.handler = Answers(approve=approve, ask=ask)
        reply = await env["asker"].receive("Go")
    results = [m["content"] for m in reply.session.history if m["role"] == "tool"]
    assert results[2:] == ["0", "1", "2"]
    assert all(result.startswith("Created") for result in results[:2])


def test_user_interaction_works_in_several_event_loops(tmp_path: Path) -> None:
    async def approve(_question: ApprovalRequest) -> Decision:
        await asyncio.sleep(0.01)
        return "once"

    make_env(tmp_path, {"asker": ASKER})
    names = [[f"{n}{each}.txt" for each in "ab"] for n in range(3)]
    writing = [calls(*[("write_file", {"path": name, "content": "x"}) for name in two]) for two in names]
    llm = ScriptedLLM([reply for each in writing for reply in (each, "Done.")])
    with Environment.open(tmp_path, llm=llm, environ={}) as env:
        env.interaction.handler = Answers(approve=approve)
        for _ in range(3):
            assert env["asker"].receive_sync("Go").text == "Done."
    assert len(list(tmp_path.glob("*.txt"))) == 6


async def test_a_cancelled_question_lets_the_next_one_be_asked(tmp_path: Path) -> None:
    reached = asyncio.Event()

    async def never(_inquiry: InputRequest) -> str:
        reached.set()
        await asyncio.Event().wait()
        return ""

    async def ask(_inquiry: InputRequest) -> str:
        return "here"

    make_env(tmp_path, {"asker": ASKER})
    question = calls(("ask_human", {"question": "Where?"}))
    async with Environment.open(tmp_path, llm=ScriptedLLM([question, question, "Here."]), environ={}) as env:
        env.interaction.handler = Answers(ask=never)
        turn = asyncio.create_task(env["asker"].receive("Go"))
        await reached.wait()
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        env.interaction.handler = Answers(ask=ask)
        reply = await env["asker"].receive("Once more")
    assert reply.text == "Here."
