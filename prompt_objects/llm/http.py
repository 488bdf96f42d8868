"""The HTTP connection under the openai client, which trusts no server with its time, memory or conversation.

It is imported where a connection is made, not before: its libraries take half a second.
"""

import asyncio
import os
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx2
from openai import APITimeoutError, DefaultAsyncHttpxClient

from prompt_objects.llm.connection_pool import ShardedPool
from prompt_objects.llm.failures import Endpoint

__all__ = [
    "HardenedClient",
    "is_compressed",
    "open_client",
]

_CONNECT_SECONDS = 5.0
_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=None)  # a lane has few
_WITHOUT_PROXY = ""  # a pattern for addresses: those that no other is for
_MAX_BYTES = 4_000_000  # of a body that is no answer: an error, a list of models
_BODY_HEADERS = {"content-encoding", "content-length", "transfer-encoding"}
_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


class HardenedClient(DefaultAsyncHttpxClient):
    """Sends a request to the address that it was meant for, and nowhere else.

    An answer begins within the time for connecting and reading together, or not at all. What is no answer has come by
    then, cut off after some megabytes.
    """

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Send a request; redirections are returned, not followed."""
        limits = request.extensions["timeout"]
        options["follow_redirects"] = False
        try:
            async with asyncio.timeout(limits["connect"] + limits["read"]):
                response = await super().send(request, stream=True, **options)
                return response if stream and response.is_success else await _read_body(response)
        except TimeoutError as error:
            raise APITimeoutError(request) from error


def open_client(endpoint: Endpoint, timeout: float) -> HardenedClient:
    """Get ready to connect; raises `Unreachable` where the environment's proxy or certificates cannot be used."""
    trust_env = not _is_loopback(endpoint.base_url)  # a proxy would not find this machine's servers
    try:
        certificates = httpx2.create_ssl_context(trust_env=trust_env)
        return HardenedClient(
            timeout=httpx2.Timeout(timeout, connect=min(_CONNECT_SECONDS, timeout)),
            trust_env=trust_env,
            verify=certificates,
            mounts={
                _WITHOUT_PROXY: ShardedPool(partial(httpx2.AsyncHTTPTransport, verify=certificates, limits=_LIMITS))
            },
            headers={"Accept-Encoding": "identity"},  # a few compressed bytes can be gigabytes
        )
    except OSError as error:
        hint = f"Check {_variables_set(_CERTIFICATES)}."
        raise endpoint.cannot_send("the certificates to trust cannot be read", hint) from error
    except ImportError as error:
        hint = f"Check {_variables_set(_PROXIES)}: an HTTP proxy would do, as in http://host:port."
        raise endpoint.cannot_send("SOCKS proxies need the package socksio, which is not installed", hint) from error
    except (ValueError, httpx2.InvalidURL) as error:
        hint = f"Check {_variables_set(_PROXIES)}: a proxy is written as in http://host:port."
        raise endpoint.cannot_send("the proxy that is set up is none", hint) from error


async def _read_body(response: httpx2.Response) -> httpx2.Response:
    """Return the response with the beginning of its body, and its connection given back."""
    body = bytearray()
    try:
        if not is_compressed(response):
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > _MAX_BYTES:
                    break
    finally:
        await response.aclose()
    headers = {name: value for name, value in response.headers.items() if name not in _BODY_HEADERS}
    content = bytes(body[:_MAX_BYTES])
    return httpx2.Response(response.status_code, headers=headers, content=content, request=response.request)


def is_compressed(response: httpx2.Response) -> bool:
    """Tell whether a body is compressed, which it was asked not to be."""
    return response.headers.get("content-encoding", "identity") not in {"", "identity"}


def _is_loopback(base_url: str) -> bool:
    return urlsplit(base_url).hostname in {"localhost", "127.0.0.1", "::1"}


def _variables_set(names: tuple[str, ...]) -> str:
    """Name the variables that are set, which come in both cases."""
    found = [spelt for name in names for spelt in (name, name.lower()) if os.environ.get(spelt)]
    return " and ".join(found or names)
