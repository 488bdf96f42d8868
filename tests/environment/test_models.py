"""Each model is connected to once, and the selected model is used for every prompt object."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from prompt_objects.config.definition import Definition, parse_definition
from prompt_objects.config.environment import Config
from prompt_objects.config.environment_schema import ModelConfig
from prompt_objects.environment.models import ModelRegistry
from prompt_objects.errors import UsageError
from prompt_objects.testing import ScriptedLLM
from tests.support.openai_server import OpenAIServer, hang, status

SCOUT = "name: scout\nprompt: Look.\n"


def asking_for(model: str) -> Definition:
    return parse_definition(f"name: scout\nmodel: {model}\nprompt: Look.\n", Path("scout.yaml"))


def no_notice(text: str) -> None:
    raise AssertionError(text)


def models(chosen: str | None = None) -> ModelRegistry:
    named = {name: ModelConfig(model=name, base_url="http://127.0.0.1:9/v1") for name in ("large", "small")}
    wrong = ModelConfig(model="wrong", base_url="http://127.0.0.1:0/v1")
    return ModelRegistry(Config(data_dir=Path("unused"), models={**named, "wrong": wrong}), {}, selected=chosen)


async def test_each_model_is_connected_to_once_also_from_several_threads() -> None:
    having = models()
    with ThreadPoolExecutor(8) as pool:
        connections = list(pool.map(having.connection_for, [asking_for("large"), asking_for("small")] * 8))
    assert len({id(connection) for connection in connections}) == 2
    assert having.connection_for(asking_for("small")).llm.model == "small"
    await having.disconnect()


async def test_selected_model_is_used_for_all_without_fallbacks() -> None:
    having = models("large")
    definition = asking_for("{use: small, fallback: [rehearsal]}")
    lineup = await having.fallback_chain_for(definition, no_notice)
    assert lineup.connection.llm.model == "large"
    with pytest.raises(UsageError, match="nobody stands in"):
        lineup.advance(UsageError("nobody stands in"))
    having.select("rehearsal", definition)
    assert having.connection_for(definition).llm.model == "rehearsal"
    await having.disconnect()


async def test_a_model_that_cannot_be_used_leaves_the_choice_as_it_was() -> None:
    having = models("small")
    with pytest.raises(UsageError, match="not a URL"):
        having.select("wrong", asking_for("small"))
    assert having.connection_for(asking_for("large")).llm.model == "small"
    await having.disconnect()


async def test_model_name_is_known_after_the_first_connection() -> None:
    having = models()
    assert not having.connections
    having.connection_for(asking_for("large"))
    assert having.connections
    assert having.connected_model(asking_for("large")) == "large"
    assert having.connected_model(asking_for("small")) == ""
    await having.disconnect()


def test_client_given_by_the_program_is_used_for_everything() -> None:
    llm = ScriptedLLM()
    having = ModelRegistry(Config(data_dir=Path("unused")), {}, llm=llm)
    assert having.connection_for(asking_for("large")).llm is having.connection_for(asking_for("small")).llm is llm


# Selection by the user


@pytest.fixture
def in_use(openai_server: OpenAIServer) -> ModelRegistry:
    """Return models whose server lists `small` and `large`, with a key for Groq, too."""
    named = {"mine": ModelConfig("any", base_url=openai_server.base_url), "no key": ModelConfig(provider="anthropic")}
    environ = {"OPENAI_BASE_URL": openai_server.base_url, "GROQ_API_KEY": "gsk"}
    return ModelRegistry(Config(data_dir=Path("unused"), models=named), environ)


def test_what_can_be_selected_is_listed(in_use: ModelRegistry, openai_server: OpenAIServer) -> None:
    origin = f"http://127.0.0.1:{openai_server.port}"
    assert in_use.choices(asking_for("small")) == [
        ("mine", "any"),
        ("no key", "claude-sonnet-5-5"),
        ("small", origin),
        ("large", origin),
        ("groq", "openai/gpt-oss-120b at Groq"),
        ("rehearsal", "offline, without a model"),
    ]


async def test_a_model_of_the_server_in_use_is_selected_and_another_one_is_refused(in_use: ModelRegistry) -> None:
    assert in_use.select("large", asking_for("small")).llm.model == "large"
    with pytest.raises(UsageError, match="has no model 'lrge'") as caught:
        in_use.select("lrge", asking_for("small"))
    assert caught.value.hint == "Did you mean 'large'?"
    assert in_use.connection_for(asking_for("small")).llm.model == "large"
    assert in_use.select("mine", asking_for("small")).llm.model == "any"  # the user wrote it
    await in_use.disconnect()


async def test_a_server_that_lists_nothing_is_believed_to_have_any_model(
    in_use: ModelRegistry, openai_server: OpenAIServer
) -> None:
    openai_server.listing = status(404)
    assert in_use.select("unlisted", asking_for("small")).llm.model == "unlisted"
    await in_use.disconnect()


@pytest.mark.parametrize(("name", "variable"), [("no key", "ANTHROPIC_API_KEY"), ("mistral", "MISTRAL_API_KEY")])
def test_a_model_without_its_key_is_refused_before_anything_is_sent(name: str, variable: str) -> None:
    having = ModelRegistry(Config(data_dir=Path("unused"), models={"no key": ModelConfig(provider="anthropic")}), {})
    with pytest.raises(UsageError, match="no key is set") as caught:
        having.select(name, asking_for("rehearsal"))
    assert variable in caught.value.hint
    assert having.connection_for(asking_for("rehearsal")).llm.model == "rehearsal"


# Without a model


async def test_a_local_server_that_starts_later_responds_to_the_next_message(
    monkeypatch: pytest.MonkeyPatch, openai_server: OpenAIServer
) -> None:
    having, definition = (
        ModelRegistry(Config(data_dir=Path("unused")), {}),
        parse_definition(SCOUT, Path("scout.yaml")),
    )
    assert (await having.fallback_chain_for(definition, no_notice)).connection.is_stand_in
    monkeypatch.setattr("prompt_objects.llm.local_servers.DEFAULT_PORTS", {openai_server.port: "Ollama"})
    notices: list[str] = []
    assert (await having.fallback_chain_for(definition, notices.append)).connection.llm.model == "small"
    assert notices == [f"small: Ollama at http://127.0.0.1:{openai_server.port} responds from now on."]
    await having.disconnect()


async def test_a_server_at_the_given_address_that_starts_later_is_asked_for_its_model(
    openai_server: OpenAIServer,
) -> None:
    having = ModelRegistry(Config(data_dir=Path("unused")), {"OPENAI_BASE_URL": openai_server.base_url})
    definition = parse_definition(SCOUT, Path("scout.yaml"))
    openai_server.listing = lambda exchange: exchange.cut()
    first = (await having.fallback_chain_for(definition, no_notice)).connection
    assert (await having.fallback_chain_for(definition, no_notice)).connection is first
    openai_server.listing = None
    notices: list[str] = []
    found = (await having.fallback_chain_for(definition, notices.append)).connection
    assert found.llm.model == "small"
    assert notices == [f"small: http://127.0.0.1:{openai_server.port} responds from now on."]
    assert (await having.fallback_chain_for(definition, no_notice)).connection is found
    await having.disconnect()


async def test_a_local_server_that_is_loading_is_waited_for_visibly(
    monkeypatch: pytest.MonkeyPatch, openai_server: OpenAIServer
) -> None:
    monkeypatch.setattr("prompt_objects.llm.local_servers.DEFAULT_PORTS", {openai_server.port: "llama.cpp"})
    openai_server.listing = status(503, {"error": {"message": "Loading model"}})
    having, definition = (
        ModelRegistry(Config(data_dir=Path("unused")), {}),
        parse_definition(SCOUT, Path("scout.yaml")),
    )
    notices: list[str] = []

    def notify(text: str) -> None:
        notices.append(text)
        openai_server.listing = None  # it has loaded its model

    chain = await having.fallback_chain_for(definition, notify)
    assert chain.connection.llm.model == "small"
    place = f"llama.cpp at http://127.0.0.1:{openai_server.port}"
    assert notices == [f"Waiting for the model: {place} is still loading its model."]
    await having.disconnect()


async def test_a_program_that_stays_silent_at_a_port_is_not_waited_for_again(
    monkeypatch: pytest.MonkeyPatch, openai_server: OpenAIServer
) -> None:
    monkeypatch.setattr("prompt_objects.llm.local_servers.DEFAULT_PORTS", {openai_server.port: "vLLM"})
    monkeypatch.setattr("prompt_objects.environment.models._MAX_SILENT_SECONDS", 0)
    openai_server.listing = hang()
    having, definition = (
        ModelRegistry(Config(data_dir=Path("unused")), {}),
        parse_definition(SCOUT, Path("scout.yaml")),
    )
    notices: list[str] = []
    assert (await having.fallback_chain_for(definition, notices.append)).connection.is_stand_in
    assert len(notices) == 1
    assert (await having.fallback_chain_for(definition, no_notice)).connection.is_stand_in


async def test_if_a_model_is_required_only_a_fallback_may_be_the_rehearsal() -> None:
    having, definition = (
        ModelRegistry(Config(data_dir=Path("unused")), {}),
        parse_definition(SCOUT, Path("scout.yaml")),
    )
    with pytest.raises(UsageError, match="no model to respond") as caught:
        having.require_model(definition)
    assert "--model rehearsal" in caught.value.hint
    with pytest.raises(UsageError, match="no model to respond"):
        await having.fallback_chain_for(definition, no_notice)
    with_fallback = asking_for("{fallback: [rehearsal]}")
    having.require_model(with_fallback)
    assert (await having.fallback_chain_for(with_fallback, no_notice)).connection.llm.model == "rehearsal"
    having.require_model(asking_for("rehearsal"))
