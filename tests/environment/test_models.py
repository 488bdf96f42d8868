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


def asking_for(model: str) -> Definition:
    return parse_definition(f"name: scout\nmodel: {model}\nprompt: Look.\n", Path("scout.yaml"))


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
    lineup = await having.fallback_chain_for(definition)
    assert lineup.connection.llm.model == "large"
    with pytest.raises(UsageError, match="nobody stands in"):
        lineup.advance(UsageError("nobody stands in"))
    having.select("rehearsal")
    assert having.connection_for(definition).llm.model == "rehearsal"
    await having.disconnect()


async def test_a_model_that_cannot_be_used_leaves_the_choice_as_it_was() -> None:
    having = models("small")
    with pytest.raises(UsageError, match="not a URL"):
        having.select("wrong")
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
