"""Budgets limit a message with all its delegations, before anything is spent."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_objects.config.limits import Limits
from prompt_objects.errors import LimitReached
from prompt_objects.runtime.budget import Budget, Spending


def take(budget: Budget, amount: Spending) -> None:
    assert budget.reserve(amount)
    budget.settle(amount, amount)


def test_spending_of_a_delegate_counts_for_its_caller() -> None:
    above = Budget("boss", Limits(requests=10))
    child = Budget("scout", Limits(requests=5), above)
    amount = Spending(1, 100, 0.5)
    child.reserve(amount)
    child.settle(amount, Spending(1, 80, 0.4))
    assert above.spent == child.spent == Spending(1, 80, 0.4)
    assert child.root is above


def test_smallest_limit_on_the_path_applies_and_is_named() -> None:
    above = Budget("boss", Limits(requests=2))
    children = [Budget("scout", Limits(requests=5), above) for _ in range(2)]
    for child in children:
        take(child, Spending(requests=1))
    with pytest.raises(LimitReached, match="boss's limit of 2 requests is reached") as caught:
        children[0].reserve(Spending(requests=1))
    assert caught.value.budget is above


def test_cost_limit_applies_to_delegates_and_unpriced_models_are_shared() -> None:
    above = Budget("boss", Limits())
    limited = Budget("helper", Limits(cost=1.0), above)
    below = Budget("scout", Limits(), limited)
    assert [each.limits_cost for each in (above, limited, below)] == [False, True, True]
    below.unpriced_models.add("large")
    assert above.unpriced_models == limited.unpriced_models == {"large"}
    assert not Budget("boss", Limits(cost=1.0)).unpriced_models


def test_limit_of_one_is_named_in_the_singular() -> None:
    budget = Budget("scout", Limits(requests=1))
    with pytest.raises(LimitReached, match="scout's limit of 1 request is reached"):
        budget.reserve(Spending(requests=2))


def test_parallel_delegates_cannot_exceed_a_limit_together() -> None:
    above = Budget("boss", Limits(tokens=1000))
    first, second = (Budget("scout", Limits(), above) for _ in range(2))
    assert first.reserve(Spending(1, 600))
    assert not second.reserve(Spending(1, 600))
    first.settle(Spending(1, 600), Spending(1, 200))
    assert second.reserve(Spending(1, 600))
    assert not first.reserve(Spending(1, 201))
    with pytest.raises(LimitReached, match="1,000 tokens"):
        first.reserve(Spending(1, 801))


def test_refused_or_waiting_reservation_reserves_nothing() -> None:
    above = Budget("boss", Limits(cost=1.0))
    child, other = (Budget("scout", Limits(), above) for _ in range(2))
    with pytest.raises(LimitReached, match="1 US dollars"):
        child.reserve(Spending(1, 0, 1.5))
    assert other.reserve(Spending(1, 0, 0.7))
    assert not child.reserve(Spending(1, 0, 1.0))
    other.settle(Spending(1, 0, 0.7), Spending())
    assert child.reserve(Spending(1, 0, 1.0))


def test_rounding_errors_of_costs_leave_nothing_reserved() -> None:
    above = Budget("boss", Limits(cost=1.0))
    child = Budget("scout", Limits(), above)
    costs = [0.1, 0.2, 0.3]
    for cost in costs:
        assert child.reserve(Spending(1, 0, cost))
    for cost in costs:
        child.settle(Spending(1, 0, cost), Spending())
    assert child.reserve(Spending(1, 0, 1.0))


def test_final_request_exceeds_only_the_limits_of_its_own_budget() -> None:
    above = Budget("boss", Limits(tokens=1000))
    child = Budget("scout", Limits(tokens=100, seconds=1e-9), above)
    child.allow_final_request()
    with pytest.raises(LimitReached, match="boss's limit of 1,000 tokens"):
        child.reserve(Spending(1, 1001))
    take(child, Spending(1, 900))
    assert above.spent.tokens == child.spent.tokens == 900
    above.allow_final_request()
    assert above.reserve(Spending(1, 1001))


def test_final_request_has_30_seconds_if_time_was_up_else_no_time_limit() -> None:
    now = [0.0]
    above = Budget("boss", Limits(seconds=100), clock=lambda: now[0])
    late, wordy = (Budget("scout", Limits(tokens=10, seconds=5), above, clock=lambda: now[0]) for _ in range(2))
    now[0] = 4.0
    wordy.allow_final_request()
    now[0] = 6.0
    late.allow_final_request()
    assert (late.seconds_left, wordy.seconds_left) == (30.0, 94.0)
    now[0] = 16.0
    late.allow_final_request()  # another model is asked for them
    assert late.seconds_left == 20.0
    now[0] = 36.0
    wordy.check_time()
    with pytest.raises(LimitReached, match="scout's limit of 5 seconds"):
        late.reserve(Spending(1, 1))


async def test_waiting_request_continues_after_a_settlement() -> None:
    above = Budget("boss", Limits(tokens=1000))
    first, second = (Budget("scout", Limits(), above) for _ in range(2))
    first.reserve(Spending(1, 1000))
    waiting = asyncio.create_task(second.wait_for_settlement())
    await asyncio.sleep(0)
    assert not waiting.done()
    first.settle(Spending(1, 1000), Spending(1, 10))
    await asyncio.wait_for(waiting, 1)


@pytest.mark.parametrize("of", ["boss", "scout"])
async def test_waiting_request_waits_only_while_there_is_time(of: str) -> None:
    limits = {"boss": Limits(tokens=1000), "scout": Limits()}
    limits[of] = Limits(tokens=1000, seconds=0.05)
    above = Budget("boss", limits["boss"])
    first, second = (Budget("scout", limits["scout"], above) for _ in range(2))
    first.reserve(Spending(1, 1000))
    start = time.monotonic()
    await asyncio.wait_for(second.wait_for_settlement(), 5)
    assert time.monotonic() - start < 4
    with pytest.raises(LimitReached, match=f"{of}'s limit of 0.05 seconds"):
        second.reserve(Spending(1, 1))


async def test_final_request_waits_although_its_own_time_is_up() -> None:
    above = Budget("boss", Limits(tokens=1000))
    other, late = Budget("scout", Limits(), above), Budget("scout", Limits(seconds=1e-9), above)
    other.reserve(Spending(1, 1000))
    late.allow_final_request()
    waiting = asyncio.create_task(late.wait_for_settlement())
    await asyncio.sleep(0.02)
    assert not waiting.done()
    other.settle(Spending(1, 1000), Spending())
    await asyncio.wait_for(waiting, 1)


def test_shortest_time_left_on_the_path_applies() -> None:
    now = [0.0]
    above = Budget("boss", Limits(seconds=10), clock=lambda: now[0])
    now[0] = 7.0
    child = Budget("scout", Limits(seconds=5), above, clock=lambda: now[0])
    assert child.seconds_left == 3.0
    now[0] = 10.0
    with pytest.raises(LimitReached, match="boss's limit of 10 seconds") as caught:
        child.check_time()
    assert caught.value.budget is above


def test_without_limits_only_the_number_of_requests_is_limited() -> None:
    budget = Budget("scout", Limits())
    budget.reserve(Spending(25, 10**9, 10.0**9))
    assert (budget.seconds_left, budget.limits_tokens_or_cost) == (None, False)


@given(
    st.integers(1, 2000), st.lists(st.tuples(st.integers(0, 3), st.integers(1, 400), st.floats(0, 1)), max_size=60)
)
def test_limit_holds_for_every_order_of_delegates(limit: int, requests: list[tuple[int, int, float]]) -> None:
    above = Budget("boss", Limits(requests=1000, tokens=limit))
    children = [Budget("scout", Limits(requests=1000), above) for _ in range(4)]
    open_ones: list[tuple[Budget, Spending, Spending]] = []
    for number, tokens, part in requests:
        amount = Spending(1, tokens)
        held = above.spent.tokens + sum(reserved.tokens for _, reserved, _ in open_ones)
        try:
            is_held = children[number].reserve(amount)
        except LimitReached:
            assert above.spent.tokens + tokens > limit
        else:
            assert is_held == (held + tokens <= limit)
            if is_held:
                open_ones.append((children[number], amount, Spending(1, int(tokens * part))))
        if len(open_ones) > 2:
            child, reserved, took = open_ones.pop(0)
            child.settle(reserved, took)
    for child, reserved, took in open_ones:
        child.settle(reserved, took)
    assert above.spent.tokens <= limit
    assert above.spent.tokens == sum(child.spent.tokens for child in children)
