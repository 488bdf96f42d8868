"""`http_get`: reads the public web, with limits on time and size."""

import asyncio
import codecs
import json
import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct

from prompt_objects._version import __version__
from prompt_objects.errors import ToolError
from prompt_objects.runtime.context import Context
from prompt_objects.tools.decorator import tool
from prompt_objects.tools.isolation import run_isolated
from prompt_objects.tools.url_guard import AddressGuard

if TYPE_CHECKING:
    import ssl

    import httpx2


MAX_BYTES = 2_000_000
MAX_SECONDS = 30.0
MAX_REDIRECTS = 5
_CONNECT_SECONDS = 5.0
_CONVERT_SECONDS = 10.0
_EXCERPT = 500  # characters of the body of an error response
_MAX_PORT = 65_535
_PORTS = {"http": 80, "https": 443}
_HEADERS = {
    "Accept": "text/html, text/*, application/json, */*;q=0.5",
    "Accept-Encoding": "gzip",
    "User-Agent": f"prompt-objects/{__version__}",
}
_HTML_SCRIPT = Path(__file__).with_name("_html_script.py")
_META_CHARSET = re.compile(rb"<meta[^>]{1,200}?charset=[\"']?([\w-]{1,40})", re.IGNORECASE)
# Python's other codecs are not text encodings.
_CHARSETS = ("ascii", "big5", "cp", "euc", "gb", "hz", "iso", "koi8", "mac", "shift", "utf")


class Page(Struct, frozen=True):
    """A response: at most `MAX_BYTES` of its body, and whether the body `was_cut` there."""

    url: str
    response: "httpx2.Response"
    body: bytes
    was_cut: bool

    @property
    def content_type(self) -> str:
        return self.response.headers.get("content-type", "")

    @property
    def kind(self) -> str:
        """The media type of the body, without parameters: `text/html`."""
        return self.content_type.partition(";")[0].strip().lower()

    def text(self) -> str | None:
        if b"\0" in self.body[:8192]:
            return None
        charset = _charset(self.content_type, self.body)
        is_declared_text = charset is not None or self.kind.startswith("text/")
        decoder = codecs.getincrementaldecoder(charset or "utf-8")("replace" if is_declared_text else "strict")
        try:
            return decoder.decode(self.body, final=not self.was_cut).removeprefix("\ufeff")
        except UnicodeDecodeError:
            return None


@tool(effect="network")
async def http_get(
    url: Annotated[str, Meta(max_length=8_000, description="The URL to get: http://… or https://…")],
    *,
    context: Context,
) -> str:
    """Get a page or a file from the web by HTTP GET; a web page is returned as Markdown text."""
    guard = AddressGuard(context.services.http_allow)
    return await page_as_text(await fetch(url, guard, is_permitted=context.allows_unattended))


async def fetch(
    url: str,
    guard: AddressGuard,
    seconds: float = MAX_SECONDS,
    is_permitted: Callable[[Mapping[str, Any]], bool] | None = None,
) -> Page:
    """Get a URL and follow redirects; with `is_permitted`, only to URLs that it permits. Raises `ToolError`."""
    import httpx2

    try:
        async with asyncio.timeout(seconds):
            target = _require_web_url(httpx2.URL(url))
            for _ in range(MAX_REDIRECTS + 1):
                page = await _get(target, guard)
                if not page.response.has_redirect_location:
                    return page
                target = _require_web_url(target.join(page.response.headers["location"]))
                if is_permitted is not None and not is_permitted({"url": str(target)}):
                    raise ToolError(
                        f"{page.url} redirects to {target}, which needs the user's approval. Get that URL separately."
                    )
    except TimeoutError:
        raise ToolError(f"{url} did not respond within {seconds:.0f} seconds.") from None
    except httpx2.InvalidURL as error:
        raise ToolError(f"{url!r} is, or redirects to, an invalid URL: {error}.") from error
    raise ToolError(f"{url} redirects more than {MAX_REDIRECTS} times.")


async def page_as_text(page: Page) -> str:
    """Return a page as text for a model. Raises `ToolError` for an error status, and if the page is not text."""
    text, response = page.text(), page.response
    if response.status_code >= 400:  # noqa: PLR2004
        excerpt = "" if text is None else (await _markdown(page, text))[:_EXCERPT].strip()
        raise ToolError(
            f"{page.url} responded with {response.status_code} {response.reason_phrase[:60]}. {excerpt}".rstrip()
        )
    kind = page.kind or "of an unknown type"
    if text is None:
        size = f"{'more than ' if page.was_cut else ''}{len(page.body):,} bytes"
        raise ToolError(f"{page.url} is not text but {kind}, {size}.")
    cut = f"\n[cut after {MAX_BYTES:,} bytes]" if page.was_cut else ""
    return f"{page.url} ({kind})\n\n{await _markdown(page, text)}{cut}"


async def _markdown(page: Page, text: str) -> str:
    if page.kind not in {"text/html", "application/xhtml+xml"}:
        return text
    request = json.dumps({"html": text, "url": page.url}).encode()
    markdown, is_finished = await run_isolated(
        _HTML_SCRIPT, request, seconds=_CONVERT_SECONDS, max_bytes=2 * MAX_BYTES
    )
    return markdown.decode("utf-8", "replace") if is_finished else f"[shown as HTML: it cannot be converted]\n{text}"


def _require_web_url(url: "httpx2.URL") -> "httpx2.URL":
    if url.scheme not in _PORTS or not url.host or (url.port or 0) > _MAX_PORT:
        raise ToolError(f"{str(url)!r} is not a web URL: use http:// or https://.")
    if url.userinfo:
        raise ToolError("URLs with a user name or password are refused. Remove these from the URL.")
    return url


async def _get(url: "httpx2.URL", guard: AddressGuard) -> Page:
    import httpx2

    host = url.raw_host.decode("ascii").strip("[]")
    addresses = await guard.addresses(host, url.port or _PORTS[url.scheme])
    verify = await asyncio.to_thread(httpx2.create_ssl_context) if url.scheme == "https" else False
    problem: Exception | None = None
    for address in addresses:
        try:
            return await _get_from(address, url, host, verify)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            problem = error
        except (httpx2.HTTPError, zlib.error) as error:
            raise ToolError(f"The response of {url} was interrupted: {_message(error)}.") from error
    raise ToolError(f"Cannot connect to {host}: {_message(problem)}.") from problem


async def _get_from(address: str, url: "httpx2.URL", host: str, verify: "ssl.SSLContext | bool") -> Page:
    """Send the request to one address; the Host header and the certificate check use the host name."""
    import httpx2

    # A client per request: a connection that was made for one host name is never reused for another.
    timeout = httpx2.Timeout(MAX_SECONDS, connect=_CONNECT_SECONDS)
    client = httpx2.AsyncClient(verify=verify, trust_env=False, timeout=timeout)
    target, headers = url.copy_with(host=address, fragment=None), {**_HEADERS, "Host": url.netloc.decode("ascii")}
    async with client, client.stream("GET", target, headers=headers, extensions={"sni_hostname": host}) as response:
        body, was_cut = (b"", False) if response.has_redirect_location else await _body(response)
    return Page(str(url), response, body, was_cut)


async def _body(response: "httpx2.Response") -> tuple[bytes, bool]:
    """Return the decoded body up to `MAX_BYTES`, and whether there was more."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip", "x-gzip"}:
        raise ToolError(f"The response is encoded as {encoding[:60]!r}, which was not requested.")
    inflate = zlib.decompressobj(wbits=31)  # wbits=31: gzip
    body = bytearray()
    async for piece in response.aiter_raw():
        compressed = piece
        if encoding == "identity":
            body += piece
            compressed = b""
        while compressed and len(body) <= MAX_BYTES:
            if inflate.eof:  # another gzip member follows
                inflate = zlib.decompressobj(wbits=31)
            body += inflate.decompress(compressed, MAX_BYTES + 1 - len(body))  # a few bytes may expand to gigabytes
            compressed = inflate.unused_data
        if len(body) > MAX_BYTES:
            return bytes(body[:MAX_BYTES]), True
    return bytes(body), False


def _charset(content_type: str, body: bytes) -> str | None:
    declared = re.search(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", content_type, re.IGNORECASE)
    in_html = _META_CHARSET.search(body[:1024])
    name = declared[1] if declared else in_html[1].decode("ascii", "replace") if in_html else ""
    try:
        codec = codecs.lookup(name).name
    except LookupError:
        return None
    return codec if codec.startswith(_CHARSETS) else None


def _message(error: Exception | None) -> str:
    return str(error).rstrip(".") or type(error).__name__
