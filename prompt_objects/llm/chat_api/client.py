"""Client for servers with OpenAI's chat completions API, on top of the openai package.

Nothing here reads environment variables; `connect` does.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec.structs import replace

from prompt_objects.errors import LLMError, RegionNotSupported, ServerFailed, StillLoading, UnknownModel
from prompt_objects.llm.base import (
    Adaptations,
    Completion,
    Request,
    RequestSent,
    RetryScheduled,
    StreamPart,
    TextChunk,
)
from prompt_objects.llm.chat_api.adapt import adapt, encode
from prompt_objects.llm.chat_api.chunks import read_chunks
from prompt_objects.llm.chat_api.clients import Clients
from prompt_objects.llm.chat_api.dialect import dialect_of, learn
from prompt_objects.llm.chat_api.endpoint import Endpoint
from prompt_objects.llm.chat_api.failures import words_of
from prompt_objects.llm.chat_api.response import MalformedResponse, ResponseBuilder
from prompt_objects.llm.chat_api.retries import DEFAULT_RETRIES, retry_delay
from prompt_objects.llm.model_listing import parse_listing
from prompt_objects.llm.providers import OPENAI
from prompt_objects.utils.text import did_you_mean

if TYPE_CHECKING:
    import httpx2


DEFAULT_TIMEOUT = 300.0  # seconds; reasoning models can be silent for minutes
_LIST_MODELS_TIMEOUT = 3.0  # how long an error waits for the list of models
_MAX_LISTED_MODELS = 8
_REPAIRABLE = (LLMError, ServerFailed)  # a server that cannot build a prompt from the messages sends 400 or 500


class OpenAILLM:
    """A model of an OpenAI-compatible server.

    `base_url` is OpenAI's by default. `key_name` is the environment variable of the key, for hints; if it is given,
    a key is required. `timeout` is the maximum time without an event in seconds, also before the first one;
    keep-alive comments do not count as events. `max_retries` is the number of further attempts; a request is not
    retried after the first text.
    """

    def __init__(  # noqa: PLR0913 - all but the model have a default, and none may be given by position
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        key_name: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        max_retries: int = DEFAULT_RETRIES,
    ) -> None:
        self.model = model
        key_name = key_name or ("" if base_url else "OPENAI_API_KEY")
        self._endpoint = Endpoint(model, base_url or OPENAI.base_url, key_name, api_key)
        self._timeout = timeout
        self._max_retries = max_retries
        self._dialect = dialect_of(self._endpoint.base_url, self._endpoint.server)
        self._clients = Clients(self._endpoint, timeout)

    def __repr__(self) -> str:
        return f"<OpenAILLM {self._endpoint}>"

    async def stream(self, request: Request) -> AsyncGenerator[StreamPart, None]:
        has_text, retry, start = False, 0, time.monotonic()
        notices: list[str] = []
        request = replace(request, model=self.model)
        adaptations, body = self._encoded(request)
        while True:
            yield RequestSent(sha256(body).hexdigest(), adaptations)
            try:
                async with aclosing(self._attempt(body)) as parts:
                    async for part in parts:
                        has_text = True
                        yield _with_notices(part, notices)
                    return
            except LLMError as error:
                if not has_text and type(error) in _REPAIRABLE:
                    notices += self._learn(words_of(error), request)
                    refused, (adaptations, body) = body, self._encoded(request)
                    if body != refused:
                        continue
                is_loading = isinstance(error, StillLoading) and self._max_retries > 0
                is_last = retry >= self._max_retries and not is_loading
                pause = None if has_text or is_last else retry_delay(error, retry, time.monotonic() - start)
                if pause is None:
                    await self._add_models(error)
                    raise
                yield RetryScheduled(error, pause)
            await asyncio.sleep(pause)
            retry += 1

    def _encoded(self, request: Request) -> tuple[Adaptations, bytes]:
        """Return the body of a request in the form that the server is known to accept."""
        adaptations = self._dialect.adaptations
        return adaptations, encode(adapt(request, adaptations))

    def _learn(self, refusal: str, request: Request) -> list[str]:
        """Adapt later requests to the words of a refusal; return notices for the user."""
        self._dialect.adaptations, notices = learn(refusal, request, self._dialect.adaptations)
        return notices

    async def _attempt(self, body: bytes) -> AsyncGenerator[TextChunk | Completion, None]:
        builder = ResponseBuilder(self._endpoint.server)
        has_text = False
        try:
            response = await self._open(body)
            async with aclosing(read_chunks(response, self._endpoint, builder, self._timeout)) as groups:
                async for chunks in groups:
                    text, error = _add_chunks(builder, chunks)
                    if text:
                        has_text = True
                        yield TextChunk(text)
                    if error and not builder.is_complete:
                        raise error
            completion = builder.completion()
        except MalformedResponse as error:
            raise self._endpoint.broken_stream_error(str(error)) from error
        if not has_text and completion.message["content"]:  # only reasoning came
            yield TextChunk(completion.message["content"])
        yield completion

    async def close(self) -> None:
        await self._clients.close()

    async def _open(self, body: bytes) -> "httpx2.Response":
        """Send the request; raises `LLMError` if no response begins."""
        client = await self._clients.current()
        from openai import APIConnectionError, APIError, AsyncStream

        try:
            stream = await client.post(
                self._endpoint.url("chat/completions"),
                content=body,
                cast_to=object,
                stream=True,
                stream_cls=AsyncStream[object],
            )
        except APIConnectionError as error:
            raise self._endpoint.connection_error(error) from error
        except APIError as error:
            raise self._endpoint.server_error(error) from error
        try:
            self._check(stream.response)
        except LLMError:
            await stream.close()
            raise
        return stream.response

    def _check(self, response: "httpx2.Response") -> None:
        from prompt_objects.llm.chat_api.http import is_compressed

        if "html" in response.headers.get("content-type", ""):
            hint = "Check base_url: it usually ends in /v1."
            raise self._endpoint.broken_stream_error("responded with a web page", hint)
        if is_compressed(response):
            hint = "Check for a proxy that compresses responses."
            problem = "sent a compressed response, although the request did not allow it"
            raise self._endpoint.broken_stream_error(problem, hint)

    async def _add_models(self, error: LLMError) -> None:
        """Add the models of the server to the hint of an error, if another one would help."""
        if isinstance(error, UnknownModel):
            models = await self._known_models()
            error.hint = models or "Check the model's name, and base_url: it usually ends in /v1."
        elif isinstance(error, RegionNotSupported):
            error.hint = f"Choose another model. {await self._known_models()}".strip()

    async def _known_models(self) -> str:
        """Return a sentence with the chat models of the server, empty if it lists none.

        Unlike `list_models`, this uses the proxy and the certificates of the client.
        """
        from openai import OpenAIError

        client = await self._clients.current()
        try:
            async with asyncio.timeout(_LIST_MODELS_TIMEOUT):
                body = await client.get(self._endpoint.url("models"), cast_to=str)
                names = [self._endpoint.clean(name) for name in parse_listing(body).chat]
        except (OpenAIError, TimeoutError, ValueError, RecursionError):
            return ""
        if not names:
            return ""
        shown = ", ".join(names[:_MAX_LISTED_MODELS])
        more = f" and {len(names) - _MAX_LISTED_MODELS} more" if len(names) > _MAX_LISTED_MODELS else ""
        suggestion = "" if self.model in names else did_you_mean(self.model, names)
        return f"{suggestion} The server has {shown}{more}.".strip()


def _with_notices(part: TextChunk | Completion, notices: list[str]) -> TextChunk | Completion:
    return replace(part, notices=(*notices, *part.notices)) if isinstance(part, Completion) else part


def _add_chunks(
    builder: ResponseBuilder, chunks: Iterator[object]
) -> tuple[str, LLMError | MalformedResponse | None]:
    """Add chunks to a response; return the added text, and the error of the next chunk if there is one."""
    texts: list[str] = []
    try:
        for chunk in chunks:
            texts.append(builder.add(chunk))  # noqa: PERF401 - the text before an error counts
    except (LLMError, MalformedResponse) as error:
        return "".join(texts), error
    return "".join(texts), None
