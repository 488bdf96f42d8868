"""What a model costs: by the prices that environment.yaml gives, else by those that are publicly known."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from prompt_objects.llm.base import Usage

if TYPE_CHECKING:
    from prompt_objects.config.environment_schema import Prices

__all__ = [
    "Pricing",
    "given_pricing",
    "known_pricing",
    "unknown_price",
]

Pricing: TypeAlias = Callable[[Usage], float | None]
"""Says what requests cost, in US dollars; None where nothing is known of prices."""
_MILLION = 1_000_000


def unknown_price(_: Usage) -> None:
    """Know nothing of prices."""
    return


def given_pricing(prices: "Prices") -> Pricing:
    """Reckon with prices for a million tokens; cached ones cost as much as others where nothing is said of them."""
    cached = prices.prompt if prices.cached is None else prices.cached

    def cost(usage: Usage) -> float:
        fresh = usage.prompt - usage.cached
        return (fresh * prices.prompt + usage.cached * cached + usage.completion * prices.completion) / _MILLION

    return cost


def known_pricing(model: str) -> Pricing:
    """Reckon with the public prices of a model by its name, where the extra `prices` is installed and knows it.

    Loading them takes a quarter of a second, so this is not for the event loop.
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
        except (LookupError, ValueError):  # also where a program's own LLM tells of tokens that make no sense
            return None

    return cost if cost(Usage(1, 1)) is not None else unknown_price
