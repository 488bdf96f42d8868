"""The table of providers."""

from typing import get_args

import genai_prices
import pytest

from prompt_objects.config.environment_schema import ProviderName
from prompt_objects.llm.providers import PROVIDERS, Provider, providers_with_key
from tests.support.paths import DOCS

UNPRICED = {"openrouter/auto"}  # it selects one of many models


def test_the_table_has_every_provider_that_environment_yaml_accepts() -> None:
    assert list(PROVIDERS) == list(get_args(ProviderName))


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))
def test_a_default_model_is_one_that_its_provider_sells(provider: Provider) -> None:
    usage = genai_prices.Usage(input_tokens=1, output_tokens=1)
    if provider.model not in UNPRICED:
        assert genai_prices.calc_price(usage, provider.model, provider_api_url=provider.base_url).total_price > 0


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))
def test_a_key_is_sent_encrypted_and_each_row_has_a_source(provider: Provider) -> None:
    assert provider.base_url.startswith("https://")
    assert provider.source.startswith("https://")


def test_no_two_providers_share_a_key_or_a_host() -> None:
    keys = [key for provider in PROVIDERS.values() for key in provider.key_names]
    hosts = [provider.base_url.split("/")[2] for provider in PROVIDERS.values()]
    assert len({*keys}) == len(keys)
    assert len({*hosts}) == len(hosts)


def test_keys_are_found_in_the_order_of_the_table() -> None:
    environ = {"MISTRAL_API_KEY": "m", "GROQ_API_KEY": " ", "GOOGLE_API_KEY": "g", "ANTHROPIC_API_KEY": " a\n"}
    assert list(providers_with_key(environ)) == ["anthropic", "gemini", "mistral"]
    assert PROVIDERS["anthropic"].find_key(environ) == ("ANTHROPIC_API_KEY", "a")
    assert PROVIDERS["gemini"].find_key(environ) == ("GOOGLE_API_KEY", "g")
    assert PROVIDERS["groq"].find_key(environ) == ("GROQ_API_KEY", None)


def test_the_documentation_has_the_same_table() -> None:
    rows = [
        f"| `{name}` | {each.label} | {' or '.join(f'`{key}`' for key in each.key_names)} | `{each.model}` |\n"
        for name, each in PROVIDERS.items()
    ]
    assert "".join(rows) in (DOCS / "models.md").read_text(encoding="utf-8")
