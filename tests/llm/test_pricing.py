"""Prices of models."""

import pytest

from prompt_objects.config.environment_schema import Prices
from prompt_objects.llm.base import Usage
from prompt_objects.llm.connection import ModelConnection
from prompt_objects.llm.pricing import given_pricing
from prompt_objects.llm.rehearsal import Rehearsal
from prompt_objects.testing import ScriptedLLM


@pytest.mark.parametrize(
    ("prices", "cost"),
    [(Prices(prompt=1, completion=10), 3.0), (Prices(prompt=1, completion=10, cached=0.5), 2.75)],
    ids=["cached tokens cost as much as others", "cached tokens are cheaper"],
)
def test_prices_are_per_million_tokens(prices: Prices, cost: float) -> None:
    usage = Usage(prompt=1_000_000, completion=200_000, cached=500_000)
    assert given_pricing(prices)(usage) == pytest.approx(cost)


@pytest.mark.parametrize(
    ("connection", "has_price"),
    [
        (ModelConnection(ScriptedLLM(), "somewhere"), False),
        (ModelConnection(ScriptedLLM(), "somewhere", given_pricing(Prices(0, 0))), True),
        (ModelConnection(Rehearsal(), "offline, without a model"), True),
    ],
    ids=["unknown", "free by its prices", "rehearsal"],
)
def test_a_model_has_a_price_if_one_is_given_or_it_is_free(connection: ModelConnection, *, has_price: bool) -> None:
    assert connection.has_price is has_price
