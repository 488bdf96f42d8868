"""The HTTP client for the openai package, with bounds on what a server can do.

Import it only when a connection is made: its libraries take half a second to load.
"""

import asyncio
import os
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx2
from openai import APITimeoutError, DefaultAsyncHttpxClient

from prompt_objects.llm.chat_api.connection_pool import ShardedPool
from prompt_objects.llm.chat_api.endpoint import Endpoint

_CONNECT_SECONDS = 5.0
_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=None)  # ShardedPool has its own limit
_WITHOUT_PROXY = ""  # the pattern of all addresses without a proxy
_MAX_BYTES = 4_000_000  # of an error or a list of models
_BODY_HEADERS = {"content-encoding", "content-length", "transfer-encoding"}
_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


class HardenedClient(DefaultAsyncHttpxClient):
    """An HTTP client that follows no redirects and limits the time until a response starts.

    A response must start within the sum of the connect and read timeouts. The body of an error is read within the
    same time, and truncated after 4 MB.
    """

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        limits = request.extensions["timeout"]
        options["follow_redirects"] = False
        try:
            async with asyncio.timeout(limits["connect"] + limits["read"]):
                response = await super().send(request, stream=True, **options)
                return response if stream and response.is_success else await _read_body(response)
        except TimeoutError as error:
            raise APITimeoutError(request) from error


def open_client(endpoint: Endpoint, timeout: float) -> HardenedClient:
    """Return a client for an endpoint; raises `Unreachable` if the proxy or certificates that are set are invalid."""
    trust_env = not _is_loopback(endpoint.base_url)  # a proxy cannot reach this machine's servers
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
        hint = f"Check {_set_variables(_CERTIFICATES)}."
        raise endpoint.configuration_error("the CA certificates cannot be read", hint) from error
    except ImportError as error:
        hint = f"Check {_set_variables(_PROXIES)}: use an HTTP proxy, such as http://host:port."
        reason = "SOCKS proxies need the package socksio, which is not installed"
        raise endpoint.configuration_error(reason, hint) from error
    except (ValueError, httpx2.InvalidURL) as error:
        hint = f"Check {_set_variables(_PROXIES)}: a proxy has the form http://host:port."
        raise endpoint.configuration_error("the proxy setting is invalid", hint) from error


async def _read_body(response: httpx2.Response) -> httpx2.Response:
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
    """Return whether a body is compressed, although the request asked for identity encoding."""
    return response.headers.get("content-encoding", "identity") not in {"", "identity"}


def _is_loopback(base_url: str) -> bool:
    return urlsplit(base_url).hostname in {"localhost", "127.0.0.1", "::1"}


def _set_variables(names: tuple[str, ...]) -> str:
    found = [each for name in names for each in (name, name.lower()) if os.environ.get(each)]
    return " and ".join(found or names)
