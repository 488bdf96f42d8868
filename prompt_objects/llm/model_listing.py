"""The models that a server lists."""

import json
import re
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from http.client import HTTPConnection

_MAX_BYTES = 4_000_000
_CHUNK_SIZE = 65536
_MAX_NAME = 200
_OK = 200
_UNAVAILABLE = 503
LOADING = "is still loading its model"
SLOW = "has not responded yet"
UNREACHABLE = "cannot be reached"
# Models that cannot chat, by their names; many servers say nothing else about a model.
_NO_CHAT = re.compile(
    r"(?i)embed|rerank|whisper|transcri|\btts\b|moderation|dall-e|gpt-image|stable-diffusion|\bsora\b"
    r"|\b(bge|gte|e5|clip|colbert|minilm|paraphrase|mxbai|uae)\b|\ball-minilm"
)


@dataclass(frozen=True, slots=True)
class ModelListing:
    """The models that a server lists: all `names`, and the `chat` models among them.

    `problem` is `LOADING` or `SLOW` if the server is there but cannot list its models yet, `UNREACHABLE` if it is not
    there. A server may list more models on further pages; then `is_complete` is false.
    """

    names: tuple[str, ...] = ()
    chat: tuple[str, ...] = ()
    is_complete: bool = True
    problem: str = ""

    def find(self, model: str) -> str | None:
        """Return the listed name of a model; servers also accept it without `:latest`, or with another suffix."""
        forms = (model, f"{model}:latest", model.partition(":")[0])
        return next((model for form in forms if form in self.names), None)


def list_models(base_url: str, *, api_key: str | None = None, seconds: float = 3.0) -> ModelListing:
    """Return the models of a server; none if there is no valid response in time."""
    return list_models_of_all([base_url], api_key, seconds)[base_url]


def list_models_of_all(base_urls: Iterable[str], api_key: str | None, seconds: float) -> Mapping[str, ModelListing]:
    """Return the models of several servers, queried at the same time for at most `seconds`.

    Name resolution and TLS handshakes cannot be interrupted, so each server is queried in a daemon thread.
    """
    from http.client import HTTPException

    found = {base_url: ModelListing(problem=UNREACHABLE) for base_url in base_urls}
    deadline = time.monotonic() + seconds

    def query(base_url: str) -> None:
        try:
            with closing(_connect(base_url, deadline)) as connection:
                connection.connect()
                found[base_url] = ModelListing(problem=SLOW)
                found[base_url] = parse_listing(*_get(connection, _target(base_url), api_key, deadline))
        except TimeoutError:
            pass  # it is slow, or not there
        except OSError:
            found[base_url] = ModelListing(problem=UNREACHABLE)
        except (HTTPException, ValueError, RecursionError):
            found[base_url] = ModelListing()

    threads = [threading.Thread(target=query, args=[base_url], daemon=True) for base_url in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return dict(found)


def _connect(base_url: str, deadline: float) -> "HTTPConnection":
    from http.client import HTTPConnection, HTTPSConnection

    parts = urlsplit(base_url)
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return connect(parts.hostname or "", parts.port, timeout=max(0.01, deadline - time.monotonic()))


def _target(base_url: str) -> str:
    parts = urlsplit(base_url)
    return f"{parts.path.rstrip('/')}/models" + (f"?{parts.query}" if parts.query else "")


def _get(connection: "HTTPConnection", target: str, api_key: str | None, deadline: float) -> tuple[bytes, int]:
    """Fetch a small document; follows no redirects, so that the key is sent to no other server."""
    body = bytearray()
    connection.request("GET", target, headers={"Authorization": f"Bearer {api_key}"} if api_key else {})
    response = connection.getresponse()
    while chunk := response.read1(_CHUNK_SIZE):
        body += chunk
        if len(body) > _MAX_BYTES:
            raise ValueError("too much")
        if time.monotonic() > deadline:
            raise TimeoutError
    return bytes(body), response.status


def parse_listing(body: bytes | str, status: int = _OK) -> ModelListing:
    """Return the models in the body of a response; raises `ValueError` or `RecursionError` if it is not JSON."""
    data = json.loads(body)
    if not isinstance(data, dict):
        return ModelListing()
    if status == _UNAVAILABLE and "error" in data:  # as llama.cpp responds while it loads a model
        return ModelListing(problem=LOADING)
    rows = data.get("data") if status == _OK else None
    rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    named = [row for row in rows if _is_valid_name(row.get("id"))]
    names = {str(row["id"]).removeprefix("models/"): row for row in named}  # as Gemini's names begin
    chat = tuple(name for name, row in names.items() if _can_chat(name, row))
    return ModelListing(tuple(names), chat, is_complete=not data.get("has_more"))


def _can_chat(name: str, row: Mapping[str, Any]) -> bool:
    """Return whether a model can chat, by what the server says about it and by its name."""
    kind, abilities = str(row.get("type", "")), row.get("capabilities")
    if isinstance(abilities, dict):  # as Mistral lists them
        return abilities.get("completion_chat") is not False and not _NO_CHAT.search(name)
    is_other = isinstance(abilities, list) and bool(abilities) and not {"completion", "chat"} & {*map(str, abilities)}
    return not (is_other or _NO_CHAT.search(kind) or _NO_CHAT.search(name))


def _is_valid_name(name: object) -> TypeGuard[str]:
    return isinstance(name, str) and 0 < len(name) <= _MAX_NAME and name.isprintable()
