"""Budget is reserved before a request and settled after it."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_objects.config.environment_schema import Prices
from prompt_objects.config.limits import Limits
from prompt_objects.environment.environment import Environment
from prompt_objects.errors import LimitReached
from prompt_objects.llm.base import Completion, Request, Usage
from prompt_objects.llm.pricing import given_pricing, no_pricing
from prompt_objects.message import Message
from prompt_objects.runtime.budget import Budget, Spending
from prompt_objects.runtime.events import BudgetUpdated
from prompt_objects.testing import ScriptedLLM, calls
from prompt_objects.turns.reply import Reply
from prompt_objects.turns.reservation import Reservation
from tests.support.environments import llm_by_name, open_env

HELLO = Request([{"role": "user", "content": "Hello " * 100}])
PROMPT = 211  # estimated tokens


def budget() -> Budget:
    return Budget("scout", Limits(requests=2, tokens=20_000))


async def test_answer_counts_with_its_actual_usage() -> None:
    given = budget()
    async with Reservation(given, no_pricing, HELLO) as purchase:
        purchase.settle(Completion({"role": "assistant", "content": "Hi"}, Usage(200, 10)))
    assert given.spent == Spending(1, 210)


async def test_refused_request_counts_for_nothing() -> None:
    given = budget()
    for _ in range(5):
        async with Reservation(given, no_pricing, HELLO) as purchase:
            purchase.cancel()
    assert given.spent == Spending()


async def test_request_without_a_response_counts_with_its_prompt() -> None:
    given = budget()
    with pytest.raises(KeyError):
        async with Reservation(given, no_pricing, HELLO):
            raise KeyError
    assert given.spent.requests == 1
    assert 200 <= given.spent.tokens <= 300


async def test_received_text_counts_if_an_answer_is_interrupted() -> None:
    prices = given_pricing(Prices(prompt=1000, completion=10_000))
    for limits in (Limits(tokens=20_000), Limits(cost=100)):
        given = Budget("scout", limits)
        received: list[str] = []
        async with Reservation(given, prices, HELLO, received):
            received += ["word "] * 600
        assert given.spent.tokens == PROMPT + 1000
        assert given.spent.cost == pytest.approx((PROMPT * 1000 + 1000 * 10_000) / 1_000_000)


async def test_unpaired_surrogate_is_counted() -> None:
    given = Budget("scout", Limits(tokens=100))
    odd = Request([{"role": "user", "content": "\udcff" * 1000}])
    with pytest.raises(LimitReached):
        await Reservation(given, no_pricing, odd).__aenter__()


async def test_answer_is_limited_by_the_room_in_the_budget() -> None:
    prices = given_pricing(Prices(prompt=10, completion=10))
    for limits, room in [
        (Limits(tokens=1000), 1000),
        (Limits(cost=0.01), 1000),
        (Limits(tokens=9**9), 8192 + PROMPT),
    ]:
        async with Reservation(Budget("scout", limits), prices, HELLO) as purchase:
            assert purchase.request.options["max_completion_tokens"] == room - PROMPT


async def test_request_waits_for_reservations_and_gets_the_released_budget() -> None:
    above = Budget("boss", Limits(tokens=1000))
    first, second = (Reservation(Budget("scout", Limits(), above), no_pricing, HELLO) for _ in range(2))
    async with first:
        waiting = asyncio.create_task(second.__aenter__())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        first.settle(Completion({"role": "assistant", "content": "Hi"}, Usage(PROMPT, 10)))
    await asyncio.wait_for(waiting, 1)
    assert second.request.options["max_completion_tokens"] == 1000 - 10 - 2 * PROMPT


async def test_cancelled_wait_leaves_nothing_reserved() -> None:
    above = Budget("boss", Limits(tokens=1000))
    first, second, third = (Reservation(Budget("scout", Limits(), above), no_pricing, HELLO) for _ in range(3))
    async with first:
        waiting = asyncio.create_task(second.__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        first.cancel()
    async with asyncio.timeout(1), third:
        assert third.request.options["max_completion_tokens"] == 1000 - PROMPT


async def test_request_that_can_never_fit_is_refused_immediately() -> None:
    above = Budget("boss", Limits(tokens=PROMPT + 100))
    async with Reservation(Budget("scout", Limits(), above), no_pricing, HELLO) as first:
        first.settle(Completion({"role": "assistant", "content": "Hi"}, Usage(PROMPT, 100)))
    with pytest.raises(LimitReached, match="boss"):
        await Reservation(Budget("scout", Limits(), above), no_pricing, HELLO).__aenter__()


# Trees of turns

LIMITS = st.builds(Limits, requests=st.integers(1, 12), tokens=st.none() | st.integers(1, 6000))
STEP = st.tuples(
    st.integers(0, 3000), st.floats(0, 1)
)  # characters added to the history, and the length of the response


class Owner:
    """A turn without a model: it makes its requests, or the final one, as `Turn` does."""

    def __init__(self, limits: Limits, above: Budget | None) -> None:
        self.budget = Budget("scout", limits, above)
        self.last = Spending()
        self._text = ""

    async def go(self, steps: list[tuple[int, float]], children: list["Owner"], plan: list[Any]) -> None:
        try:
            for letters, part in steps:
                self._text += "x" * letters
                await self._step(part)
            await asyncio.gather(*(self._asked(child, its) for child, its in zip(children, plan, strict=True)))
            await self._step(0.5)
        except LimitReached as limit:
            if limit.budget is not self.budget:
                raise
            before = self.budget.spent
            await self._step(1.0, is_final=True)
            self.last = Spending(
                self.budget.spent.requests - before.requests, self.budget.spent.tokens - before.tokens
            )

    async def _asked(self, child: "Owner", steps: list[tuple[int, float]]) -> None:
        with suppress(LimitReached):
            await child.go(steps, [], [])

    async def _step(self, part: float, *, is_final: bool = False) -> None:
        request = Request([{"role": "user", "content": self._text}])
        async with Reservation(self.budget, no_pricing, request, is_final=is_final) as purchase:
            await asyncio.sleep(0)
            longest = purchase.request.options.get("max_completion_tokens", 5000)
            usage = Usage(len(self._text) // 4, int(longest * part))
            purchase.settle(Completion({"role": "assistant", "content": ""}, usage))


@settings(deadline=None)  # threads estimate tokens and may have to wait for a core
@given(LIMITS, st.lists(STEP, max_size=3), st.lists(st.tuples(LIMITS, st.lists(STEP, max_size=4)), max_size=6))
def test_only_the_final_request_of_the_owner_exceeds_a_limit(
    limits: Limits, steps: list[tuple[int, float]], plan: list[tuple[Limits, list[tuple[int, float]]]]
) -> None:
    async def run() -> list[Owner]:
        boss = Owner(limits, None)
        children = [Owner(its, boss.budget) for its, _ in plan]
        async with asyncio.timeout(5):  # no request may wait forever
            await boss.go(steps, children, [its for _, its in plan])
        return [boss, *children]

    for owner in asyncio.run(run()):
        assert owner.budget.spent.requests - owner.last.requests <= owner.budget.limits.requests
        assert owner.last.requests <= 1
        if (most := owner.budget.limits.tokens) is not None:
            assert owner.budget.spent.tokens - owner.last.tokens <= most


# With prompt objects

SCOUT = "name: scout\ncapabilities: [read_file]\nlimits: {{tokens: {tokens}}}\nprompt: You are scout.\n"


def head(limits: str) -> str:
    return f"name: head\ncapabilities: [scout]\nlimits: {{{limits}, parallel: 8}}\nprompt: You are head.\n"


def asks(scouts: int) -> Message:
    return calls(*[("scout", {"message": f"Part {number}"}) for number in range(scouts)])


def reads_and_sums_up(request: Request) -> Message | str:
    return calls(("read_file", {"path": "big.txt"})) if request.tools else "A summary"


async def spent_by(env: Environment) -> tuple[Spending, Reply]:
    with env.bus.subscribe() as news:
        reply = await env["head"].receive("Go")
        return [event.amount for event in news.drain() if isinstance(event, BudgetUpdated)][-1], reply


def results(reply: Reply) -> list[str]:
    return [message["content"] for message in reply.session.history if message["role"] == "tool"]


async def test_final_requests_of_delegates_stay_within_the_limit_of_the_tree(tmp_path: Path) -> None:
    objects = {"head": head("tokens: 4000"), "scout": SCOUT.format(tokens=400)}
    llm = llm_by_name(head=[asks(8), "Nothing came of it"], scout=[reads_and_sums_up] * 16)
    async with open_env(tmp_path, llm, objects) as env:
        (tmp_path / "big.txt").write_text("word word word word\n" * 2400)
        amount, reply = await spent_by(env)
    assert amount.tokens <= 4000
    assert results(reply) == ["Error: head's limit of 4,000 tokens is reached."] * 8
    assert reply.text == "Nothing came of it"


async def test_delegates_sum_up_if_the_budgets_above_have_room(tmp_path: Path) -> None:
    objects = {"head": head("tokens: 200000"), "scout": SCOUT.format(tokens=400)}
    llm = llm_by_name(head=[asks(2), "All is well"], scout=[reads_and_sums_up] * 4)
    async with open_env(tmp_path, llm, objects) as env:
        (tmp_path / "big.txt").write_text("word word word word\n" * 2400)
        _, reply = await spent_by(env)
    assert results(reply) == ["A summary"] * 2


async def test_reservations_of_others_never_cause_a_refusal(tmp_path: Path) -> None:
    objects = {"head": head("tokens: 30000, requests: 8"), "scout": SCOUT.format(tokens=20_000)}
    ask: Message | str = asks(6)

    def answer(request: Request) -> Message | str:
        nonlocal ask
        if request.messages[0]["content"] == "You are scout.":
            return "A short answer"
        response, ask = ask, "All is well"
        return response

    llm = ScriptedLLM([answer] * 8, delay=0.02)
    async with open_env(tmp_path, llm, objects) as env:
        amount, reply = await spent_by(env)
    assert results(reply) == ["A short answer"] * 6
    assert amount.tokens < 1000
