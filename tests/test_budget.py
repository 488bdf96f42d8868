"""What one message may take is counted for the whole tree of turns, before it is taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_objects.budget import Amount, Budget
from prompt_objects.errors import LimitReached
from prompt_objects.limits import Limits


def test_what_a_child_takes_its_caller_takes_too() -> None:
    above = Budget("boss", Limits(turns=10))
    child = Budget("scout", Limits(turns=5), above)
    amount = Amount(1, 100, 0.5)
    child.reserve(amount)
    child.settle(amount, Amount(1, 80, 0.4))
    assert above.spent == child.spent == Amount(1, 80, 0.4)
    assert child.root is above


def test_the_smallest_limit_on_the_way_counts_and_is_named() -> None:
    above = Budget("boss", Limits(turns=2))
    children = [Budget("scout", Limits(turns=5), above) for _ in range(2)]
    for child in children:
        child.reserve(Amount(turns=1))
    with pytest.raises(LimitReached, match="boss's limit of 2 steps is reached") as caught:
        children[0].reserve(Amount(turns=1))
    assert caught.value.budget is above


def test_children_side_by_side_cannot_go_over_together() -> None:
    above = Budget("boss", Limits(tokens=1000))
    first, second = (Budget("scout", Limits(), above) for _ in range(2))
    first.reserve(Amount(1, 600))
    with pytest.raises(LimitReached, match="1,000 tokens"):
        second.reserve(Amount(1, 600))
    first.settle(Amount(1, 600), Amount(1, 200))
    second.reserve(Amount(1, 600))
    assert above.tokens_left == 200


def test_what_is_refused_sets_nothing_aside_anywhere() -> None:
    above = Budget("boss", Limits(cost=1.0))
    child = Budget("scout", Limits(), above)
    with pytest.raises(LimitReached, match="1 US dollars"):
        child.reserve(Amount(1, 0, 1.5))
    child.reserve(Amount(1, 0, 1.0))


def test_time_is_that_of_the_one_that_has_least_left() -> None:
    now = [0.0]
    above = Budget("boss", Limits(seconds=10), clock=lambda: now[0])
    now[0] = 7.0
    child = Budget("scout", Limits(seconds=5), above, clock=lambda: now[0])
    assert child.seconds_left == 3.0
    now[0] = 10.0
    with pytest.raises(LimitReached, match="boss's limit of 10 seconds") as caught:
        child.check_time()
    assert caught.value.budget is above


def test_without_limits_nothing_is_refused_but_steps() -> None:
    budget = Budget("scout", Limits())
    budget.reserve(Amount(25, 10**9, 10.0**9))
    assert (budget.tokens_left, budget.seconds_left, budget.limits_cost) == (None, None, False)


@given(
    st.integers(1, 2000),
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 400), st.floats(0, 1)), max_size=60),
)
def test_however_children_take_turns_the_limit_holds(limit: int, deeds: list[tuple[int, int, float]]) -> None:
    above = Budget("boss", Limits(turns=1000, tokens=limit))
    children = [Budget("scout", Limits(turns=1000), above) for _ in range(4)]
    open_ones: list[tuple[Budget, Amount, Amount]] = []
    for number, tokens, part in deeds:
        amount = Amount(1, tokens)
        try:
            children[number].reserve(amount)
        except LimitReached:
            assert above.tokens_left is not None
            assert above.tokens_left < tokens
        else:
            open_ones.append((children[number], amount, Amount(1, int(tokens * part))))
        if len(open_ones) > 2:
            child, reserved, took = open_ones.pop(0)
            child.settle(reserved, took)
    for child, reserved, took in open_ones:
        child.settle(reserved, took)
    assert above.spent.tokens <= limit
    assert above.spent.tokens == sum(child.spent.tokens for child in children)
