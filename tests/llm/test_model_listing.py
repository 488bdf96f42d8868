"""The models that a server lists, and which of them can chat."""

import time

import pytest

from prompt_objects.llm.model_listing import UNREACHABLE, ModelListing, list_models
from tests.support.openai_server import Behaviour, OpenAIServer, flood, never_begin, status


@pytest.mark.parametrize(
    "row",
    [
        *(
            {"id": name}
            for name in ("bge-m3", "all-minilm:22m", "multilingual-e5-large", "mxbai-embed-large", "gte-small")
        ),
        *({"id": name} for name in ("text-embedding-nomic", "jina-reranker-v2", "whisper-large-v3", "gpt-image-2")),
        {"id": "a", "type": "embeddings"},  # as LM Studio and Together AI list them
        {"id": "a", "capabilities": {"completion_chat": False}},  # as Mistral does
        {"id": "a", "capabilities": ["embedding"]},
    ],
    ids=lambda row: str(row["id"]),
)
def test_models_that_cannot_chat_are_listed_but_not_chosen(
    row: dict[str, object], openai_server: OpenAIServer
) -> None:
    rows = [
        row,
        {"id": "chat", "type": "llm", "capabilities": ["completion"]},
        {"id": "models/gemini", "type": "chat"},
    ]
    openai_server.listing = status(200, {"data": rows})
    listing = list_models(openai_server.base_url)
    assert listing.chat == ("chat", "gemini")
    assert listing.find(str(row["id"]))


def test_a_listed_model_is_found_in_the_forms_that_servers_accept() -> None:
    listing = ModelListing(("mistral:latest", "gpt-5", "anthropic/claude"))
    assert listing.find("mistral")
    assert listing.find("gpt-5")
    assert listing.find("anthropic/claude:online")
    assert not listing.find("mistral:7b")
    assert not listing.find("gpt")


def test_further_pages_make_a_list_incomplete_and_a_query_stays_in_its_place(openai_server: OpenAIServer) -> None:
    openai_server.listing = status(200, {"data": [{"id": "first"}], "has_more": True})
    assert list_models(f"{openai_server.base_url}?api-version=1") == ModelListing(
        ("first",), ("first",), is_complete=False
    )
    assert openai_server.received[0].path == "/v1/models?api-version=1"


def test_the_models_of_any_server_are_listed_with_its_key(openai_server: OpenAIServer) -> None:
    assert list_models(openai_server.base_url, api_key="sk-1").names == ("small", "large")
    assert openai_server.received[0].headers["authorization"] == "Bearer sk-1"


def test_a_server_without_a_list_has_no_models(openai_server: OpenAIServer) -> None:
    openai_server.script(status(200, "nothing"))
    assert list_models(openai_server.base_url.removesuffix("/v1")).names == ("small", "large")
    assert list_models(openai_server.base_url + "/chat/completions").names == ("small", "large")
    assert list_models("http://no-such-server.invalid/v1") == ModelListing(problem=UNREACHABLE)
    assert list_models("http://[broken") == ModelListing()


@pytest.mark.parametrize(
    "listing", [flood(b" ", gap=0.05), flood(b" " * 65536), never_begin()], ids=["slow", "fast", "never"]
)
def test_an_endless_list_ends_at_the_time_limit(openai_server: OpenAIServer, listing: Behaviour) -> None:
    openai_server.listing = listing
    start = time.monotonic()
    assert list_models(openai_server.base_url, seconds=0.3).names == ()
    assert time.monotonic() - start < 5
