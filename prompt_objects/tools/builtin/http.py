"""Reading the web: `http_get`, which reaches the public internet only, and is bounded in time and size."""

import asyncio
import codecs
import json
import re
import zlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct

from prompt_objects._version import __version__
from prompt_objects.errors import ToolError
from prompt_objects.runtime.context import Context
from prompt_objects.tools.base import Tool
from prompt_objects.tools.decorator import tool
from prompt_objects.tools.isolation import run_isolated
from prompt_objects.tools.url_guard import AddressGuard

if TYPE_CHECKING:
    import ssl

    import httpx2

__all__ = [
    "http_get",
]

MOST_BYTES = 2_000_000
MOST_SECONDS = 30.0
MOST_REDIRECTS = 5
_CONNECT_SECONDS = 5.0
_CONVERT_SECONDS = 10.0
_EXCERPT = 500  # characters of what a server says beside an error
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_MOST_PORT = 65_535
_PORTS = {"http": 80, "https": 443}
_HEADERS = {
    "Accept": "text/html, text/*, application/json, */*;q=0.5",
    "Accept-Encoding": "gzip",
    "User-Agent": f"prompt-objects/{__version__}",
}
_HTML_SCRIPT = Path(__file__).with_name("html_script.py")
_META_CHARSET = re.compile(rb"<meta[^>]{1,200}?charset=[\"']?([\w-]{1,40})", re.IGNORECASE)
_CHARSETS = ("ascii", "big5", "cp", "euc", "gb", "hz", "iso", "koi8", "mac", "shift", "utf")  # not all codecs are


class Page(Struct, frozen=True, kw_only=True):
    """What a server answered: at most `MOST_BYTES` of it, and whether it `was_cut` there."""

    url: str
    status: int
    reason: str
    content_type: str
    body: bytes
    was_cut: bool
    location: str | None

    @property
    def kind(self) -> str:
        """What the body is said to be, without parameters: `text/html`."""
        return self.content_type.partition(";")[0].strip().lower()

    def text(self) -> str | None:
        """Return the body as text; None where it is none."""
        if b"\0" in self.body[:8192]:
            return None
        charset = _charset(self.content_type, self.body)
        is_said_to_be = charset is not None or self.kind.startswith("text/")
        decoder = codecs.getincrementaldecoder(charset or "utf-8")("replace" if is_said_to_be else "strict")
        try:
            return decoder.decode(self.body, final=not self.was_cut).removeprefix("\ufeff")
        except UnicodeDecodeError:
            return None


def http_get(allowed: Collection[str] = ()) -> Tool:
    """Make the tool; `allowed` are hosts, with a port or without, that may be asked although they are not public."""
    gate = AddressGuard(allowed)

    @tool(effect="network")
    async def http_get(
        url: Annotated[str, Meta(max_length=8_000, description="What to get: http://… or https://…")],
        *,
        context: Context,
    ) -> str:
        """Get a page or a file from the web by HTTP GET; of a web page, its text as Markdown."""
        return await shown(await fetched(url, gate, permits=context.allows_unattended))

    return http_get


async def fetched(
    url: str,
    gate: AddressGuard,
    seconds: float = MOST_SECONDS,
    permits: Callable[[Mapping[str, Any]], bool] | None = None,
) -> Page:
    """Get what is at `url`, following redirects, where nobody was asked only to what `permits`; raises `ToolError`.

    Each server is checked, by the addresses that it has, and one of these very addresses is connected to.
    """
    import httpx2

    try:
        async with asyncio.timeout(seconds):
            target = _checked(httpx2.URL(url))
            for _ in range(MOST_REDIRECTS + 1):
                page = await _get(target, gate)
                if page.location is None:
                    return page
                target = _checked(target.join(page.location))
                if permits is not None and not permits({"url": str(target)}):
                    raise ToolError(
                        f"{page.url} leads to {target}. That is not among what runs unasked; get it by itself."
                    )
    except TimeoutError:
        raise ToolError(f"{url} was not there after {seconds:.0f} seconds.") from None
    except httpx2.InvalidURL as error:
        raise ToolError(f"{url!r} is, or leads to, no URL: {error}.") from error
    raise ToolError(f"{url} leads from one address to the next, more than {MOST_REDIRECTS} times.")


async def shown(page: Page) -> str:
    """Write a page for a model; raises `ToolError` where it is an error's, or no text."""
    text = page.text()
    if page.status >= 400:  # noqa: PLR2004
        said = "" if text is None else (await _markdown(page, text))[:_EXCERPT].strip()
        raise ToolError(f"{page.url} answered {page.status} {page.reason}. {said}".rstrip())
    if text is None:
        size = f"{'more than ' if page.was_cut else ''}{len(page.body):,} bytes"
        raise ToolError(f"{page.url} is not text but {page.kind or 'of an unknown kind'}, {size}.")
    cut = f"\n[cut after {MOST_BYTES:,} bytes]" if page.was_cut else ""
    return f"{page.url} ({page.kind or 'of an unknown kind'})\n\n{await _markdown(page, text)}{cut}"


async def _markdown(page: Page, text: str) -> str:
    """Return what people see of HTML; any other text as it is."""
    if page.kind not in {"text/html", "application/xhtml+xml"}:
        return text
    request = json.dumps({"html": text, "url": page.url}).encode()
    markdown, ended = await run_isolated(_HTML_SCRIPT, request, seconds=_CONVERT_SECONDS, most_bytes=2 * MOST_BYTES)
    return markdown.decode("utf-8", "replace") if ended else f"[shown as HTML: it cannot be read otherwise]\n{text}"


def _checked(url: "httpx2.URL") -> "httpx2.URL":
    if url.scheme not in _PORTS or not url.host or (url.port or 0) > _MOST_PORT:
        raise ToolError(f"{str(url)!r} is not on the web: give a URL with http:// or https://.")
    if url.userinfo:
        raise ToolError("A name and password in a URL are not sent. Give it without.")
    return url


async def _get(url: "httpx2.URL", gate: AddressGuard) -> Page:
    """Ask the first of the server's addresses that can be connected to."""
    import httpx2

    host = url.raw_host.decode("ascii").strip("[]")
    addresses = await gate.addresses(host, url.port or _PORTS[url.scheme])
    verify = await asyncio.to_thread(httpx2.create_ssl_context) if url.scheme == "https" else False
    problem: Exception | None = None
    for address in addresses:
        try:
            return await _get_from(address, url, host, verify)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            problem = error
        except (httpx2.HTTPError, zlib.error) as error:
            raise ToolError(f"{url} broke off: {_said(error)}.") from error
    raise ToolError(f"{host} cannot be connected to: {_said(problem)}.") from problem


async def _get_from(address: str, url: "httpx2.URL", host: str, verify: "ssl.SSLContext | bool") -> Page:
    """Ask one address, in the name of the host: in the header, and in what its certificate must say."""
    import httpx2

    # A client for each request: none of its connections, made in one host's name, is then used in another's.
    timeout = httpx2.Timeout(MOST_SECONDS, connect=_CONNECT_SECONDS)
    async with httpx2.AsyncClient(verify=verify, trust_env=False, timeout=timeout) as client:
        request = client.build_request(
            "GET",
            url.copy_with(host=address, fragment=None),
            headers={**_HEADERS, "Host": url.netloc.decode("ascii")},
            extensions={"sni_hostname": host},
        )
        response = await client.send(request, stream=True)
        try:
            leads_on = response.status_code in _REDIRECTS and "location" in response.headers
            body, was_cut = (b"", False) if leads_on else await _body(response)
        finally:
            await response.aclose()
    return Page(
        url=str(url),
        status=response.status_code,
        reason=response.reason_phrase[:60],
        content_type=response.headers.get("content-type", ""),
        body=body,
        was_cut=was_cut,
        location=response.headers["location"] if leads_on else None,
    )


async def _body(response: "httpx2.Response") -> tuple[bytes, bool]:
    """Read the body up to `MOST_BYTES`, however little of it was sent; say whether there was more."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip", "x-gzip"}:
        raise ToolError(f"The answer is encoded as {encoding[:60]!r}, which nobody asked for.")
    unpack = _Unpacking() if encoding != "identity" else None
    body = bytearray()
    async for piece in response.aiter_raw():
        body += unpack.feed(piece, MOST_BYTES + 1 - len(body)) if unpack else piece
        if len(body) > MOST_BYTES:
            return bytes(body[:MOST_BYTES]), True
    return bytes(body), False


class _Unpacking:
    """Takes gzip apart, never further than there is room: a few bytes may stand for gigabytes."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=31)

    def feed(self, data: bytes, room: int) -> bytes:
        """Return what comes next, at most `room` bytes; what does not fit is lost."""
        unpacked = b""
        while data and len(unpacked) < room:
            if self._inflate.eof:
                self._inflate = zlib.decompressobj(wbits=31)
            unpacked += self._inflate.decompress(data, room - len(unpacked))
            data = self._inflate.unused_data
        return unpacked


def _charset(content_type: str, body: bytes) -> str | None:
    """Return the encoding that an answer says it has, in its header or its HTML; None where it is unknown."""
    said = re.search(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", content_type, re.IGNORECASE)
    written = _META_CHARSET.search(body[:1024])
    name = said[1] if said else written[1].decode("ascii", "replace") if written else ""
    try:
        codec = codecs.lookup(name).name
    except LookupError:
        return None
    return codec if codec.startswith(_CHARSETS) else None


def _said(error: Exception | None) -> str:
    return str(error).rstrip(".") or type(error).__name__
