"""A person is told where a limit of cost cannot hold, since nobody knows what a model costs."""

import pytest

from prompt_objects.budget import Budget
from prompt_objects.config_file import Prices
from prompt_objects.limits import Limits
from prompt_objects.llm import Usage
from prompt_objects.llm.connect import Connection
from prompt_objects.llm.prices import given_pricing, uncounted
from prompt_objects.llm.rehearsal import Rehearsal
from prompt_objects.testing import ScriptedLLM

COST = Limits(cost=0.5)


def test_it_is_told_once_for_each_model_with_what_to_do() -> None:
    budget = Budget("scout", COST)
    first, second = (Connection(ScriptedLLM(model=name), "somewhere") for name in ("large", "small"))
    told = uncounted(first, Usage(10, 10), budget)
    assert told.startswith("The limit of cost does not hold for large, whose prices are not known.")
    assert "`prices` under `models` in environment.yaml" in told
    assert uncounted(first, Usage(10, 10), budget) == ""
    assert "small" in uncounted(second, Usage(10, 10), budget)


@pytest.mark.parametrize(
    ("connection", "usage", "limits"),
    [
        (Connection(ScriptedLLM(), "somewhere"), Usage(10, 10), Limits(tokens=1000)),
        (Connection(ScriptedLLM(), "somewhere"), Usage(10, 10, cost=0.1), COST),
        (Connection(ScriptedLLM(), "somewhere", given_pricing(Prices(1, 2))), Usage(), COST),
        (Connection(Rehearsal(), "no model answers"), Usage(10, 10), COST),
    ],
    ids=["no limit of cost", "the server says what it cost", "prices are given", "nothing is to be paid"],
)
def test_it_is_not_told_where_the_limit_holds_or_there_is_none(
    connection: Connection, usage: Usage, limits: Limits
) -> None:
    assert uncounted(connection, usage, Budget("scout", limits)) == ""
