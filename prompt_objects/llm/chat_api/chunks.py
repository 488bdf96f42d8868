"""Reads the chunks of a response as plain JSON, since servers do not always send what the types of openai promise."""

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

import msgspec

from prompt_objects.llm.chat_api.endpoint import Endpoint
from prompt_objects.llm.chat_api.response import MalformedResponse, ResponseBuilder
from prompt_objects.llm.chat_api.sse import (
    TRAILING_DATA_SECONDS,
    IdleTimeout,
    ServerSentEvent,
    SSEDecoder,
    read_to_end,
)

if TYPE_CHECKING:
    import httpx2


async def read_chunks(
    response: "httpx2.Response", endpoint: Endpoint, builder: ResponseBuilder, seconds: float
) -> AsyncGenerator[Iterator[object], None]:
    """Yield the chunks of a response, grouped as they arrived; wait at most `seconds` for each event.

    Raises `LLMError`; iterating over a group also raises `MalformedResponse` for invalid JSON. Once the response
    in `builder` is complete, nothing is waited for, and a broken connection is no error.
    """
    from httpx2 import RequestError

    timeout, events = IdleTimeout(seconds), SSEDecoder()
    broken: Exception | None = None
    try:
        async with aclosing(timeout.iterate(response.aiter_raw())) as parts:
            async for data in parts:
                found = list(events.feed(data))
                yield (_chunk(event, response, endpoint) for event in found)
                if events.is_done:
                    builder.end()
                    await read_to_end(parts)
                    return
                if builder.is_complete:
                    timeout.limit(max(builder.last_seconds, TRAILING_DATA_SECONDS))
                elif found:  # after the consumer handled them, so that its time does not count
                    timeout.restart()
    except (RequestError, TimeoutError) as error:
        broken = error
    finally:
        await response.aclose()
    for event in events.end():
        chunk = _last_chunk(event, response, endpoint, broken)
        yield iter(() if chunk is None else (chunk,))
        if events.is_document:
            builder.end()
    if broken and not builder.is_complete:
        raise endpoint.interrupted_error(broken) from broken


def _last_chunk(
    event: ServerSentEvent, response: "httpx2.Response", endpoint: Endpoint, broken: Exception | None
) -> object:
    """Return the chunk at the end of the body, None if the connection broke within it."""
    try:
        return _chunk(event, response, endpoint)
    except MalformedResponse:
        if broken is None:
            raise
        return None


def _chunk(event: ServerSentEvent, response: "httpx2.Response", endpoint: Endpoint) -> object:
    from openai import APIError

    chunk = _decode(event.data)
    if details := _error_in(event.name, chunk):
        error = APIError("unknown reason", response.request, body=details)
        raise endpoint.server_error(error) from error
    return chunk


def _decode(data: bytes) -> object:
    with suppress(ValueError, RecursionError):
        return msgspec.json.decode(data)
    try:
        return json.loads(data, strict=False)  # some servers do not escape line ends in strings
    except (ValueError, RecursionError) as error:
        raise MalformedResponse("sent something that is not JSON") from error


def _error_in(name: str, chunk: object) -> object:
    """Return the error that a chunk contains, None if it is part of a response."""
    if not isinstance(chunk, dict):
        return None
    is_bare = "choices" not in chunk and bool(chunk.get("message") or chunk.get("detail"))
    choices = chunk.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    of_choice = choice.get("error") if isinstance(choice, dict) else None
    return chunk.get("error") or of_choice or (chunk if is_bare or name == "error" else None)
