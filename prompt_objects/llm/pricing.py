"""Prices of models: those in environment.yaml, else the public ones."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from prompt_objects.llm.base import Usage

if TYPE_CHECKING:
    from prompt_objects.config.environment_schema import Prices


Pricing: TypeAlias = Callable[[Usage], float | None]
"""Returns the cost of requests in US dollars, None if prices are unknown."""
_MILLION = 1_000_000


def unknown_price(_: Usage) -> None:
    """Return None for any usage."""
    return


def given_pricing(prices: "Prices") -> Pricing:
    """Return a function that calculates the cost by the given prices; `cached` is by default as much as `prompt`."""
    cached = prices.prompt if prices.cached is None else prices.cached

    def cost(usage: Usage) -> float:
        fresh = usage.prompt - usage.cached
        return (fresh * prices.prompt + usage.cached * cached + usage.completion * prices.completion) / _MILLION

    return cost


def known_pricing(model: str) -> Pricing:
    """Return a function that calculates costs by public prices, if the extra `prices` has them.

    Loading the prices takes a quarter of a second, so do not call this on the event loop.
    """
    try:
        import genai_prices
    except ImportError:
        return unknown_price

    def cost(usage: Usage) -> float | None:
        counted = genai_prices.Usage(
            input_tokens=usage.prompt, output_tokens=usage.completion, cache_read_tokens=usage.cached
        )
        try:
            return float(genai_prices.calc_price(counted, model).total_price)
        except (LookupError, ValueError):  # also for invalid token counts
            return None

    return cost if cost(Usage(1, 1)) is not None else unknown_price
