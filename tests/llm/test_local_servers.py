"""Search for model servers on this machine."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from prompt_objects.llm.local_servers import find_local_server
from prompt_objects.llm.model_listing import LOADING, SLOW, ModelListing
from tests.support.openai_server import OpenAIServer


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
