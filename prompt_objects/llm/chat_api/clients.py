"""The clients of the openai package for one endpoint."""

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from prompt_objects.llm.chat_api.endpoint import Endpoint
from prompt_objects.utils.concurrency import uninterrupted

if TYPE_CHECKING:
    from openai import AsyncOpenAI


class Clients:
    """The clients for an endpoint, one for each event loop: loops cannot share connections."""

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        self._endpoint = endpoint
        self._timeout = timeout
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = WeakKeyDictionary()
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def current(self) -> "AsyncOpenAI":
        """Return the client of this event loop. Raises `LLMError` for an unusable key, proxy or address."""
        key = self._endpoint.api_key or ""
        if self._endpoint.key_name and not key:
            raise self._endpoint.missing_key_error()
        if not (key.isascii() and key.isprintable()):
            raise self._endpoint.invalid_key_error()
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            async with self._locks.setdefault(loop, asyncio.Lock()):  # one client for a thousand turns
                if loop not in self._clients:
                    self._clients[loop] = await asyncio.to_thread(self._open)  # importing takes half a second
        return self._clients[loop]

    def _open(self) -> "AsyncOpenAI":
        from httpx2 import InvalidURL
        from openai import AsyncOpenAI

        from prompt_objects.llm.chat_api.http import open_client

        client = open_client(self._endpoint, self._timeout)
        try:
            return AsyncOpenAI(
                api_key=self._endpoint.api_key or "none",  # the client requires a key; servers without keys ignore it
                base_url=self._endpoint.base_url,
                timeout=client.timeout,
                max_retries=0,  # `stream` retries, and shows it to the user
                http_client=client,
            )
        except InvalidURL as error:
            raise self._endpoint.configuration_error("its address is not a URL", "Check base_url.") from error

    async def close(self) -> None:
        """Close the client of this event loop; it is opened again when needed."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await uninterrupted(client.close())
