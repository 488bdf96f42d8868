"""Prices of models: given in the settings, or public."""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from prompt_objects.llm.base import Usage

if TYPE_CHECKING:
    from prompt_objects.config.environment_schema import Prices

_MILLION = 1_000_000
Pricing: TypeAlias = Callable[[Usage], float | None]
"""Returns the cost of requests in US dollars, None if prices are unknown."""


def no_pricing(_: Usage) -> None:
    """Return None for any usage."""
    return


def given_pricing(prices: "Prices") -> Pricing:
    """Return a function that calculates the cost by the given prices; by default, `cached` is equal to `prompt`."""
    cached = prices.prompt if prices.cached is None else prices.cached

    def cost(usage: Usage) -> float:
        fresh = usage.prompt - usage.cached
        return (fresh * prices.prompt + usage.cached * cached + usage.completion * prices.completion) / _MILLION

    return cost


def known_pricing(model: str, base_url: str) -> Pricing:
    """Return a function that calculates costs by public prices, if the extra `prices` has them.

    The prices of the server at `base_url` are preferred, else the model's own provider's are used. Loading the prices
    takes a quarter of a second, so do not call this on the event loop.
    """
    try:
        import genai_prices
    except ImportError:
        return no_pricing

    def cost(usage: Usage) -> float | None:
        counted = genai_prices.Usage(
            input_tokens=usage.prompt, output_tokens=usage.completion, cache_read_tokens=usage.cached
        )
        for server in (base_url, None):
            with suppress(LookupError, ValueError):  # also for invalid token counts
                return float(genai_prices.calc_price(counted, model, provider_api_url=server).total_price)
        return None

    return cost if cost(Usage(1, 1)) is not None else no_pricing
