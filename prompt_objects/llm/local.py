"""Model servers of this machine, found where they usually listen."""

import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

__all__ = ["USUAL_PORTS", "LocalServer", "find_local_server", "list_models"]

USUAL_PORTS: Mapping[int, str] = {11434: "Ollama", 1234: "LM Studio", 8080: "llama.cpp", 8000: "vLLM"}

_MOST_BYTES = 1_000_000
_LONGEST_NAME = 200
_NO_CHAT = re.compile(r"(?i)embed|rerank|whisper|\btts\b|moderation|dall-e")


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server that answers on this machine, and the chat models that it has: at least one."""

    name: str
    base_url: str
    models: tuple[str, ...]


def find_local_server(ports: Mapping[int, str] | None = None, *, seconds: float = 0.3) -> LocalServer | None:
    """Return the first of the servers on `ports` (number -> name; by default the usual ones) that answers.

    All are asked side by side, and after `seconds` nobody is waited for.
    """
    ports = USUAL_PORTS if ports is None else ports
    found: dict[int, LocalServer] = {}

    def ask(port: int, name: str) -> None:
        base_url = f"http://127.0.0.1:{port}/v1"
        models = list_models(base_url, seconds=seconds)
        if models:
            found[port] = LocalServer(name, base_url, models)

    threads = [threading.Thread(target=ask, args=item, daemon=True) for item in ports.items()]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return next((found[port] for port in ports if port in found), None)


def list_models(base_url: str, *, api_key: str | None = None, seconds: float = 3.0) -> tuple[str, ...]:
    """Return the chat models of a server; none where it does not answer, or not in the protocol's form."""
    from http.client import HTTPException

    try:
        return _chat_models(json.loads(_get(f"{base_url.rstrip('/')}/models", api_key, seconds)))
    except (OSError, HTTPException, ValueError, RecursionError):
        return ()


def _get(url: str, api_key: str | None, seconds: float) -> bytes:
    """Fetch a small document; a redirection is not followed, so the key goes nowhere else."""
    from http.client import HTTPConnection, HTTPSConnection

    parts = urlsplit(url)
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=seconds)
    try:
        connection.request("GET", parts.path, headers={"Authorization": f"Bearer {api_key}"} if api_key else {})
        response = connection.getresponse()
        body = response.read(_MOST_BYTES + 1)
    finally:
        connection.close()
    if response.status != 200 or len(body) > _MOST_BYTES:  # noqa: PLR2004 - OK
        raise ValueError(f"{response.status}, {len(body)} bytes")
    return body


def _chat_models(listing: object) -> tuple[str, ...]:
    data = listing.get("data") if isinstance(listing, dict) else None
    rows = data if isinstance(data, list) else []
    names = [row.get("id") for row in rows if isinstance(row, dict)]
    return tuple(name for name in names if isinstance(name, str) and _is_sane(name) and not _NO_CHAT.search(name))


def _is_sane(name: str) -> bool:
    return 0 < len(name) <= _LONGEST_NAME and name.isprintable()
