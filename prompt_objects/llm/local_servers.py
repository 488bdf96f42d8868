"""Model servers on this machine, found at their default ports."""

import json
import re
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeGuard
from urllib.parse import urlsplit

DEFAULT_PORTS: Mapping[int, str] = {11434: "Ollama", 1234: "LM Studio", 8080: "llama.cpp", 8000: "vLLM"}
_MAX_BYTES = 4_000_000
_CHUNK_SIZE = 65536
_MAX_NAME = 200
_NO_CHAT = re.compile(r"(?i)embed|rerank|whisper|\btts\b|moderation|dall-e")


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A model server on this machine with at least one chat model."""

    name: str
    base_url: str
    models: tuple[str, ...]


def find_local_server(ports: Mapping[int, str] | None = None, *, seconds: float = 0.3) -> LocalServer | None:
    """Return the first server on `ports` (number -> name; the default ports if None) that responds within `seconds`.

    All ports are queried at the same time.
    """
    ports = DEFAULT_PORTS if ports is None else ports
    names = {f"http://127.0.0.1:{port}/v1": name for port, name in ports.items()}
    found = _models_of(names, None, seconds)
    return next((LocalServer(names[url], url, found[url]) for url in names if found.get(url)), None)


def list_models(base_url: str, *, api_key: str | None = None, seconds: float = 3.0) -> tuple[str, ...]:
    """Return the chat models of a server; empty if there is no valid response in time."""
    return _models_of([base_url], api_key, seconds).get(base_url, ())


def _models_of(base_urls: Iterable[str], api_key: str | None, seconds: float) -> Mapping[str, tuple[str, ...]]:
    """Query servers at the same time, and return the models of those that respond within `seconds`.

    Name resolution and TLS handshakes cannot be interrupted, so each server is queried in a daemon thread.
    """
    from http.client import HTTPException

    found: dict[str, tuple[str, ...]] = {}
    deadline = time.monotonic() + seconds

    def query(base_url: str) -> None:
        with suppress(OSError, HTTPException, ValueError, RecursionError):
            found[base_url] = _chat_models(json.loads(_get(f"{base_url.rstrip('/')}/models", api_key, deadline)))

    threads = [threading.Thread(target=query, args=[base_url], daemon=True) for base_url in base_urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return dict(found)


def _get(url: str, api_key: str | None, deadline: float) -> bytes:
    """Fetch a small document; follows no redirects, so that the key is sent to no other server."""
    from http.client import HTTPConnection, HTTPSConnection

    parts = urlsplit(url)
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=max(0.01, deadline - time.monotonic()))
    body = bytearray()
    try:
        connection.request("GET", parts.path, headers={"Authorization": f"Bearer {api_key}"} if api_key else {})
        response = connection.getresponse()
        while chunk := response.read1(_CHUNK_SIZE):
            body += chunk
            if len(body) > _MAX_BYTES or time.monotonic() > deadline:
                raise ValueError("too much, or too slow")
    finally:
        connection.close()
    if response.status != 200:  # noqa: PLR2004 - OK
        raise ValueError(f"status {response.status}")
    return bytes(body)


def _chat_models(listing: object) -> tuple[str, ...]:
    data = listing.get("data") if isinstance(listing, dict) else None
    rows = data if isinstance(data, list) else []
    names = [row.get("id") for row in rows if isinstance(row, dict)]
    return tuple(name for name in names if _is_valid_name(name) and not _NO_CHAT.search(name))


def _is_valid_name(name: object) -> TypeGuard[str]:
    return isinstance(name, str) and 0 < len(name) <= _MAX_NAME and name.isprintable()
