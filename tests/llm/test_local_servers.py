"""Search for model servers on this machine."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from prompt_objects.llm.local_servers import LOADING, SLOW, UNREACHABLE, ModelListing, find_local_server, list_models
from tests.support.openai_server import Behaviour, OpenAIServer, flood, never_begin, status


@contextmanager
def raw_server(answer: bytes | None) -> Iterator[int]:
    """Run a server that sends `answer` to the first client, or nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as opened:

        def serve() -> None:
            connection = opened.enter_context(listener.accept()[0])
            if answer is not None:
                connection.recv(65536)
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(1)


def http(body: bytes, head: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def test_the_first_server_that_responds_is_found_with_its_chat_models() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        closed_port = closed.getsockname()[1]
    with OpenAIServer(models=["nomic-embed-text", "qwen3:8b"]) as first, OpenAIServer() as second:
        found = find_local_server({closed_port: "Closed", first.port: "Ollama", second.port: "vLLM"})
    assert found
    assert (found.name, found.base_url) == ("Ollama", f"http://127.0.0.1:{first.port}/v1")
    assert found.listing == ModelListing(("nomic-embed-text", "qwen3:8b"), ("qwen3:8b",))


def test_without_a_server_the_search_ends_immediately() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        closed_port = closed.getsockname()[1]
    start = time.monotonic()
    assert find_local_server({closed_port: "Closed"}) is None
    assert time.monotonic() - start < 2


def test_all_servers_are_queried_in_parallel_within_the_time_limit() -> None:
    with raw_server(None) as one, raw_server(None) as two, OpenAIServer() as real:
        start = time.monotonic()
        found = find_local_server({one: "One", two: "Two", real.port: "Real"}, seconds=1)
        assert time.monotonic() - start < 1.9  # one after the other would take 2
    assert found is not None
    assert found.name == "Real"


@pytest.mark.parametrize(
    "answer",
    [
        http(b"<html>Jenkins</html>"),
        http(b"[]"),
        http(b'{"data": "no"}'),
        http(b'{"data": [{"id": 5}, 7, {"id": ""}, {"id": "\\u001b[31mred"}]}'),
        http(b'{"data": [{"id": "whisper-1"}]}'),
        http(b'{"data": [{"id": "small"}]}', b"HTTP/1.1 401 Unauthorized"),
        http(b'{"data": [{"id": "small"}]}', b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/"),
        http(b'{"data": [{"id": "small"}]}' + b" " * 4_000_000),
        http(b"[" * 500_000),
        b"220 mail.example.com ESMTP\r\n",
        b"",
    ],
    ids=["page", "list", "no list", "no names", "no chat", "401", "302", "huge", "deep", "smtp", "nothing"],
)
def test_other_servers_are_not_taken_for_model_servers(answer: bytes) -> None:
    with raw_server(answer) as port:
        assert find_local_server({port: "Something"}, seconds=1) is None


def test_a_server_that_loads_or_is_slow_is_there_but_one_with_models_is_preferred() -> None:
    loading = http(b'{"error": {"code": 503, "message": "Loading model"}}', b"HTTP/1.1 503 Service Unavailable")
    with raw_server(None) as slow:
        found = find_local_server({slow: "Slow"}, seconds=0.1)
        assert found
        assert (found.name, found.listing) == ("Slow", ModelListing(problem=SLOW))
        assert find_local_server({slow: "Slow"}, seconds=0.1, ignored=[found.base_url]) is None
    with raw_server(None) as slow, raw_server(loading) as port:
        found = find_local_server({slow: "Slow", port: "llama.cpp"}, seconds=0.3)
        assert found
        assert (found.name, found.listing) == ("llama.cpp", ModelListing(problem=LOADING))
    with raw_server(None) as slow, raw_server(loading) as port, OpenAIServer() as ready:
        found = find_local_server({slow: "Slow", port: "llama.cpp", ready.port: "Ollama"}, seconds=0.3)
        assert found
        assert found.name == "Ollama"


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
