"""Any server that speaks OpenAI's chat completions, over the openai client.

The client's typed models are passed by: chunks are read as plain JSON, since what servers send is not always
what the types promise. Nothing here reads the environment; `connect` does.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from prompt_objects.errors import LLMError, UnknownModel
from prompt_objects.llm import Completion, Request, Text
from prompt_objects.llm.answer import Answer, Nonsense
from prompt_objects.llm.failures import Endpoint, retry_after
from prompt_objects.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx2
    from openai import APIError, AsyncOpenAI, AsyncStream

__all__ = ["OPENAI_URL", "USUAL_TIMEOUT", "OpenAILLM"]

OPENAI_URL = "https://api.openai.com/v1"
USUAL_TIMEOUT = 300.0  # seconds; models that think first can be silent for minutes
_CONNECT_SECONDS = 5.0
_PATIENCE_SECONDS = 30.0  # a server that asks for a longer wait is not waited for: the person is told
_MODELS_SECONDS = 3.0  # how long an error message may wait for the list of models
_MODELS_SHOWN = 8


class OpenAILLM:
    """A model behind an OpenAI-compatible endpoint.

    `base_url` is OpenAI's own by default. `key_name` is the environment variable that people set the key in,
    for hints; where it is given, there must be a key. `timeout` is the longest silence in seconds, before an
    answer and between its pieces. `max_retries` counts further attempts before an answer has begun.
    """

    def __init__(  # noqa: PLR0913 - all but the model have a default, and none may be given by position
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        key_name: str | None = None,
        timeout: float = USUAL_TIMEOUT,
        max_retries: int = 2,
    ) -> None:
        self.model = model
        key_name = key_name or ("" if base_url else "OPENAI_API_KEY")
        self._endpoint = Endpoint(model, base_url or OPENAI_URL, key_name, api_key)
        self._timeout = timeout
        self._max_retries = max_retries
        self._asks_for_usage = True
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"<OpenAILLM {self._endpoint}>"

    async def stream(self, request: Request) -> AsyncGenerator[Text | Completion, None]:
        """Send the request and stream the answer; raises `LLMError`, in the words of `failures`."""
        answer = Answer()
        async with aclosing(self._chunks(request)) as chunks:
            async for chunk in chunks:
                try:
                    text = answer.add(chunk)
                except Nonsense as error:
                    raise self._endpoint.broken(str(error)) from error
                if text:
                    yield Text(text)
        try:
            yield answer.completion()
        except Nonsense as error:
            raise self._endpoint.broken(str(error)) from error

    async def close(self) -> None:
        """Let go of this event loop's connections; they are made again when needed."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    async def _chunks(self, request: Request) -> AsyncGenerator[object, None]:
        """Yield the chunks of an answer, with every failure on the way turned into an `LLMError`."""
        client = await self._client()
        from openai import APIConnectionError, APIError

        response = await self._open(client, request)
        async with response:
            try:
                async with aclosing(_events(response)) as events:
                    async for chunk in events:
                        yield chunk
            except APIConnectionError as error:
                raise self._endpoint.cut_off(error) from error
            except APIError as error:
                raise self._endpoint.refusal(error) from error
            except (ValueError, RecursionError) as error:
                raise self._endpoint.broken("sent something that is not JSON") from error

    async def _open(self, client: "AsyncOpenAI", request: Request) -> "AsyncStream[object]":
        """Send the request; raises `LLMError` where no answer begins."""
        from openai import APIConnectionError, APIError, AsyncStream

        asks_for_usage = self._asks_for_usage
        body = _encoded(self.model, request, asks_for_usage=asks_for_usage)
        try:
            response = await client.post(
                "/chat/completions", content=body, cast_to=object, stream=True, stream_cls=AsyncStream[object]
            )
        except APIConnectionError as error:
            raise self._endpoint.no_connection(error) from error
        except APIError as error:
            if asks_for_usage and _refuses_to_count(error):
                self._asks_for_usage = False
                return await self._open(client, request)
            raise await self._refusal(client, error) from error
        if "html" in response.response.headers.get("content-type", ""):
            await response.close()
            hint = "Check base_url: it usually ends in /v1."
            raise self._endpoint.broken("answered with a web page", hint)
        return response

    async def _refusal(self, client: "AsyncOpenAI", error: "APIError") -> LLMError:
        failure = self._endpoint.refusal(error)
        if isinstance(failure, UnknownModel):
            failure.hint = await self._what_there_is(client)
        return failure

    async def _what_there_is(self, client: "AsyncOpenAI") -> str:
        """Say which models the server has, and which of them may have been meant."""
        from openai import OpenAIError

        try:
            listing = await client.get(
                "/models", cast_to=object, options={"timeout": _MODELS_SECONDS, "max_retries": 0}
            )
        except (OpenAIError, ValueError):
            return "Check the model's name, and base_url: it usually ends in /v1."
        data = listing.get("data") if isinstance(listing, dict) else None
        rows = [row.get("id") for row in data if isinstance(row, dict)] if isinstance(data, list) else []
        names = [self._endpoint.cleaned(name) for name in rows if isinstance(name, str)]
        shown = ", ".join(names[:_MODELS_SHOWN]) or "none"
        more = f" and {len(names) - _MODELS_SHOWN} more" if len(names) > _MODELS_SHOWN else ""
        return f"{did_you_mean(self.model, names)} The server has {shown}{more}.".strip()

    async def _client(self) -> "AsyncOpenAI":
        """Return this event loop's client; connections cannot be shared between loops."""
        key = self._endpoint.api_key or ""
        if self._endpoint.key_name and not key:
            raise self._endpoint.no_key()
        if not (key.isascii() and key.isprintable()):
            raise self._endpoint.bad_key()
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            client = await asyncio.to_thread(self._make_client)  # half a second, most of it importing
            self._clients.setdefault(loop, client)
        return self._clients[loop]

    def _make_client(self) -> "AsyncOpenAI":
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout

        timeout = Timeout(self._timeout, connect=min(_CONNECT_SECONDS, self._timeout))
        http_client = DefaultAsyncHttpxClient(
            timeout=timeout,
            trust_env=not _is_loopback(self._endpoint.base_url),  # a proxy would not find this machine's servers
            event_hooks={"response": [_refuse_long_waits]},
        )
        return AsyncOpenAI(
            api_key=self._endpoint.api_key or "none",  # servers without keys ignore it; the client insists on one
            base_url=self._endpoint.base_url,
            timeout=timeout,
            max_retries=self._max_retries,
            http_client=http_client,
        )


async def _events(response: "AsyncStream[object]") -> AsyncGenerator[object, None]:
    events: AsyncIterator[object] = aiter(response)
    async for event in events:
        yield event


def _encoded(model: str, request: Request, *, asks_for_usage: bool) -> bytes:
    body: dict[str, Any] = {
        **request.options,
        "model": model,
        "messages": list(request.messages),
        "stream": True,
    }
    if request.tools:
        body["tools"] = list(request.tools)
    if asks_for_usage:
        body["stream_options"] = {"include_usage": True}
    # Half of a surrogate pair, as file names may hold, has no UTF-8 form; "?" stands for it.
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _refuses_to_count(error: "APIError") -> bool:
    words = f"{error.message} {error.body}"
    return "stream_options" in words or "include_usage" in words


def _is_loopback(base_url: str) -> bool:
    return urlsplit(base_url).hostname in {"localhost", "127.0.0.1", "::1"}


async def _refuse_long_waits(response: "httpx2.Response") -> None:
    """Keep the client from trying again where waiting would be too long, or in vain."""
    if not response.is_error:
        return
    wait = retry_after(response.headers)
    in_vain = b"insufficient_quota" in await response.aread()
    if in_vain or (wait is not None and wait > _PATIENCE_SECONDS):
        response.headers["x-should-retry"] = "false"
