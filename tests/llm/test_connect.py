"""Selection of the model, and its description for the user."""

from functools import partial
from pathlib import Path

import pytest

from prompt_objects.config.environment import Config
from prompt_objects.config.environment_schema import ModelConfig, Prices
from prompt_objects.errors import Unauthorized, UsageError
from prompt_objects.llm.base import LLM, Completion, Request
from prompt_objects.llm.connect import NO_MODEL, NotReady, connect, has_known_price
from prompt_objects.llm.local_servers import find_local_server
from prompt_objects.llm.providers import OPENAI, PROVIDERS
from prompt_objects.llm.rehearsal import Rehearsal
from tests.support.openai_server import OpenAIServer, status, text

KEY = "sk-secret-0123456789"
NO_CONFIG = Config(data_dir=Path("unused"))


def config(model: str | None = None, **models: ModelConfig) -> Config:
    return Config(data_dir=Path("unused"), model=model, models=models)


def no_search() -> None:
    raise AssertionError("no local server may be looked for here")


async def send(llm: LLM) -> Completion:
    try:
        parts = [part async for part in llm.stream(Request([{"role": "user", "content": "Hello"}]))]
    finally:
        await llm.close()
    assert isinstance(parts[-1], Completion)
    return parts[-1]


def test_the_rehearsal_is_selected_by_name() -> None:
    found = connect("rehearsal", NO_CONFIG, {"OPENAI_API_KEY": KEY}, find_local=no_search)
    assert isinstance(found.llm, Rehearsal)
    assert found.origin == "offline, without a model"
    assert not found.is_stand_in


def test_without_a_key_or_server_the_model_is_the_rehearsal_and_says_so() -> None:
    found = connect(None, NO_CONFIG, {}, find_local=lambda: None)
    assert isinstance(found.llm, Rehearsal)
    assert found.is_stand_in
    assert found.origin == NO_MODEL


def test_a_local_server_that_responds_is_used_and_named(openai_server: OpenAIServer) -> None:
    find = partial(find_local_server, {openai_server.port: "Ollama"})
    found = connect(None, NO_CONFIG, {}, find_local=find)
    assert found.llm.model == "small"
    assert found.origin == f"Ollama at http://127.0.0.1:{openai_server.port}"


def test_a_model_of_a_local_server_is_selected_by_its_id(openai_server: OpenAIServer) -> None:
    find = partial(find_local_server, {openai_server.port: "Ollama"})
    assert (
        connect("large", NO_CONFIG, {}, find_local=find).origin == f"Ollama at http://127.0.0.1:{openai_server.port}"
    )
    keyless = connect("gpt-5", NO_CONFIG, {}, find_local=find)
    assert keyless.origin == "OpenAI at https://api.openai.com (OPENAI_API_KEY is not set)"


def test_an_openai_key_selects_openai() -> None:
    found = connect(None, NO_CONFIG, {"OPENAI_API_KEY": KEY}, find_local=no_search)
    assert (found.llm.model, found.origin) == (OPENAI.model, "OpenAI at https://api.openai.com")


@pytest.mark.parametrize("name", list(PROVIDERS))
def test_the_key_of_a_provider_selects_its_default_model_at_its_endpoint(name: str) -> None:
    provider = PROVIDERS[name]
    for key_name in provider.key_names:
        found = connect(None, NO_CONFIG, {key_name: KEY}, find_local=no_search)
        assert found.server
        assert (found.llm.model, found.server.base_url) == (provider.model, provider.base_url)
        assert (found.server.api_key, found.server.key_name) == (KEY, key_name)
        assert found.origin.startswith(f"{provider.label} at https://")


@pytest.mark.parametrize(
    ("name", "model", "label"),
    [
        (None, OPENAI.model, "OpenAI"),
        ("groq", PROVIDERS["groq"].model, "Groq"),
        ("anthropic/claude-opus-5-5", "claude-opus-5-5", "Anthropic"),
        ("groq/openai/gpt-oss-20b", "openai/gpt-oss-20b", "Groq"),
        ("mistral/other", "mistral/other", "OpenAI"),  # there is no key for Mistral
        ("claude-opus-5-5", "claude-opus-5-5", "OpenAI"),
    ],
)
def test_of_several_keys_openais_is_the_first_and_a_provider_is_selected_by_name(
    name: str | None, model: str, label: str
) -> None:
    environ = {"GROQ_API_KEY": "groq", "ANTHROPIC_API_KEY": "anthropic", "OPENAI_API_KEY": "openai"}
    found = connect(name, NO_CONFIG, environ, find_local=no_search)
    assert found.server
    assert (found.llm.model, found.server.label) == (model, label)
    assert found.server.api_key == label.lower()


@pytest.mark.parametrize("name", ["anthropic", "anthropic/claude-opus-5-5"])
def test_a_provider_without_a_key_says_which_variable_is_missing(name: str) -> None:
    found = connect(name, NO_CONFIG, {}, find_local=lambda: None)
    assert found.origin == "Anthropic at https://api.anthropic.com (ANTHROPIC_API_KEY is not set)"


def test_a_configured_provider_has_its_endpoint_key_and_default_model() -> None:
    environ = {
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
        "ANTHROPIC_API_KEY": "a",
        "WORK": "w",
    }
    given = config(
        claude=ModelConfig(provider="anthropic"),
        work=ModelConfig("claude-opus-5-5", provider="anthropic", api_key_env="WORK"),
    )
    for name, model, key in (("claude", PROVIDERS["anthropic"].model, "a"), ("work", "claude-opus-5-5", "w")):
        found = connect(name, given, environ, find_local=no_search)
        assert found.server
        assert (found.llm.model, found.server.api_key) == (model, key)
        assert found.origin == "Anthropic at https://api.anthropic.com"


def test_openais_model_is_not_asked_for_at_other_providers() -> None:
    environ = {"OPENAI_MODEL": "gpt-5", "ANTHROPIC_API_KEY": KEY}
    assert connect(None, NO_CONFIG, environ, find_local=no_search).llm.model == PROVIDERS["anthropic"].model
    assert connect(None, NO_CONFIG, {**environ, "OPENAI_API_KEY": KEY}, find_local=no_search).llm.model == "gpt-5"
    assert connect(None, NO_CONFIG, {"OPENAI_MODEL": "gpt-5"}, find_local=lambda: None).llm.model == "gpt-5"


def test_the_key_of_a_provider_is_not_used_for_another_server() -> None:
    environ = {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1", "GROQ_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY}
    elsewhere = config(mine=ModelConfig("m", base_url="http://127.0.0.1:1/v1"))
    for name, given in ((None, NO_CONFIG), ("some-model", NO_CONFIG), ("groq/m", NO_CONFIG), ("mine", elsewhere)):
        found = connect(name, given, environ, find_local=no_search)
        assert found.server
        assert (found.server.base_url, found.server.api_key) == ("http://127.0.0.1:1/v1", None)


def test_a_local_server_that_is_loading_is_there(openai_server: OpenAIServer) -> None:
    openai_server.listing = status(503, {"error": {"message": "Loading model", "type": "unavailable_error"}})
    find = partial(find_local_server, {openai_server.port: "llama.cpp"})
    for name, environ in ((None, {}), ("small", {}), (None, {"OPENAI_BASE_URL": openai_server.base_url})):
        with pytest.raises(NotReady, match="is still loading its model") as caught:
            connect(name, NO_CONFIG, environ, find_local=find)
        assert not caught.value.may_be_another


def test_a_base_url_selects_the_first_chat_model_of_its_server(openai_server: OpenAIServer) -> None:
    openai_server.models = ["text-embedding-3", "first", "second"]
    environ = {"OPENAI_BASE_URL": openai_server.base_url, "OPENAI_API_KEY": KEY}
    found = connect(None, NO_CONFIG, environ, find_local=no_search)
    assert (found.llm.model, found.origin) == ("first", f"http://127.0.0.1:{openai_server.port}")


def test_connecting_to_a_server_that_does_not_respond_raises_nothing() -> None:
    environ = {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}
    assert connect(None, NO_CONFIG, environ, find_local=no_search).llm.model == OPENAI.model


@pytest.mark.parametrize(
    ("name", "given", "environ", "model"),
    [
        ("named", config("configured"), {"OPENAI_MODEL": "variable"}, "named"),
        (None, config("configured"), {"OPENAI_MODEL": "variable"}, "configured"),
        (None, config(), {"OPENAI_MODEL": "variable"}, "variable"),
        ("default", config("configured"), {}, "configured"),
        ("default", config(), {}, OPENAI.model),
        ("default", config("other", default=ModelConfig("written")), {}, "written"),
        (None, config("default", default=ModelConfig("written")), {"OPENAI_MODEL": "variable"}, "written"),
        (None, config("default"), {}, OPENAI.model),
        (None, config("other", default=ModelConfig("written")), {}, "other"),
        ("fast", config(fast=ModelConfig("written")), {}, "written"),
        (None, config("fast", fast=ModelConfig("written")), {}, "written"),
    ],
)
def test_the_more_specific_setting_selects_the_model(
    name: str | None, given: Config, environ: dict[str, str], model: str
) -> None:
    environ = {"OPENAI_API_KEY": KEY, **environ}
    assert connect(name, given, environ, find_local=no_search).llm.model == model


async def test_a_configured_model_uses_its_own_server_and_key(openai_server: OpenAIServer) -> None:
    entry = ModelConfig("written", base_url=openai_server.base_url, api_key_env="MY_KEY")
    openai_server.script(text("Yes."))
    await send(connect("fast", config(fast=entry), {"MY_KEY": "sk-mine", "OPENAI_API_KEY": KEY}).llm)
    assert openai_server.received[0].headers["authorization"] == "Bearer sk-mine"
    assert openai_server.received[0].body["model"] == "written"


async def test_openais_key_is_not_sent_to_another_configured_server(openai_server: OpenAIServer) -> None:
    entry = ModelConfig("written", base_url=openai_server.base_url)
    openai_server.script(text("Yes."))
    await send(connect("fast", config(fast=entry), {"OPENAI_API_KEY": KEY}).llm)
    assert KEY not in str(openai_server.received[0].headers)


async def test_a_configured_timeout_is_used() -> None:
    with OpenAIServer() as server:
        server.script(text("one two", delay=1))
        entry = ModelConfig("written", base_url=server.base_url, timeout=0.2)
        with pytest.raises(Exception, match="sent nothing for too long"):
            await send(connect("slow", config(slow=entry), {}).llm)


@pytest.mark.parametrize(
    ("given", "variable"),
    [(config(), "OPENAI_API_KEY"), (config(gpt=ModelConfig("gpt-5", api_key_env="MY_KEY")), "MY_KEY")],
    ids=["default", "configured"],
)
async def test_a_missing_key_is_an_error_of_the_turn_and_is_named(given: Config, variable: str) -> None:
    found = connect("gpt", given, {}, find_local=lambda: None)
    with pytest.raises(Unauthorized) as caught:
        await send(found.llm)
    assert variable in caught.value.hint


def test_displayed_text_contains_neither_key_nor_password() -> None:
    environ = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://me:hidden@127.0.0.1:1/hidden/v1?key=hidden"}
    found = connect("gpt-5", NO_CONFIG, environ)
    assert KEY not in repr(found)
    assert "hidden" not in repr(found)
    assert found.origin == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    "address",
    [
        "localhost:11434/v1",
        "http://",
        "http://[broken",
        "http://a:port/v1",
        "http://a b/v1",
        "http://a\x7f/v1",
        "http://a/\x00v1",
    ],
)
def test_an_address_that_is_not_a_url_is_an_error(address: str) -> None:
    with pytest.raises(UsageError, match="not a URL") as caught:
        connect("small", NO_CONFIG, {"OPENAI_BASE_URL": address})
    assert "OPENAI_BASE_URL" in caught.value.hint


async def test_white_space_around_a_key_is_removed(openai_server: OpenAIServer) -> None:
    openai_server.script(text("Yes."))
    environ = {"OPENAI_BASE_URL": openai_server.base_url, "OPENAI_API_KEY": f" {KEY}\n"}
    await send(connect("small", NO_CONFIG, environ).llm)
    assert openai_server.received[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("name", "is_priced"),
    [
        ("given", True),
        ("public", True),
        ("public elsewhere", False),
        ("public elsewhere with a key", True),
        ("nobody's", False),
        ("rehearsal", True),
        ("gpt-5", True),
        ("llama-of-mine", False),
        (None, False),
        ("default", False),
    ],
)
def test_known_prices_are_found_without_contacting_a_server(name: str | None, *, is_priced: bool) -> None:
    elsewhere = "http://127.0.0.1:9/v1"
    known = config(
        "llama-of-mine",
        **{
            "given": ModelConfig(model="llama-of-mine", base_url=elsewhere, prices=Prices(1, 2)),
            "public": ModelConfig(model="gpt-5"),
            "public elsewhere": ModelConfig(model="gpt-5", base_url=elsewhere),
            "public elsewhere with a key": ModelConfig(model="gpt-5", base_url=elsewhere, api_key_env="NOT_SET_HERE"),
            "nobody's": ModelConfig(model="llama-of-mine"),
        },
    )
    assert has_known_price(name, known, {}) is is_priced


def test_a_model_that_depends_on_a_server_counts_as_having_a_price() -> None:
    assert has_known_price(None, NO_CONFIG, {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"})
    assert has_known_price(None, NO_CONFIG, {})
    assert has_known_price(None, NO_CONFIG, {"OPENAI_API_KEY": KEY})
    assert has_known_price(None, NO_CONFIG, {"ANTHROPIC_API_KEY": KEY})
    assert not has_known_price(None, NO_CONFIG, {"OPENROUTER_API_KEY": KEY})
    assert not has_known_price(None, NO_CONFIG, {"OPENAI_API_KEY": KEY, "OPENAI_MODEL": "llama-of-mine"})
