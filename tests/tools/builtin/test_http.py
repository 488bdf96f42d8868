"""`http_get` reaches only permitted servers, and a hostile server can do no harm."""

import gzip
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from prompt_objects.environment.environment import Environment
from prompt_objects.errors import ToolError
from prompt_objects.runtime.interaction import ApprovalRequest, Decision
from prompt_objects.testing import ScriptedLLM, calls
from prompt_objects.tools.builtin.http import MAX_BYTES, fetch, http_get, page_as_text
from prompt_objects.tools.url_guard import AddressGuard, is_public
from tests.support.environments import make_env
from tests.support.interaction import Answers
from tests.support.tool_calls import call
from tests.support.web_server import WebServer, answer, endless, redirect

PAGE = """<html><head><title>Rivers &amp; lakes</title><style>p {}</style></head><body><nav>Home</nav>
<h1>Rivers</h1><p>The <b>Danube</b>, see <a href="../map?x=1">map</a>.</p><script>alert("x")</script>
<div style="display:none">unseen</div><ul><li>one<li>two</ul></body></html>"""


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as web:
        yield web


def always(*addresses: str) -> AddressGuard:
    """Return a guard for which every name has these addresses."""

    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    return AddressGuard(resolve=resolve)


def allowing(server: WebServer, *more: str) -> AddressGuard:
    return AddressGuard([f"127.0.0.1:{server.port}", *more])


async def got(server: WebServer, path: str = "/", host: str = "127.0.0.1") -> str:
    gate = allowing(server, f"{host}:{server.port}")
    return await page_as_text(await fetch(f"http://{host}:{server.port}{path}", gate))


# Allowed hosts


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b::a01:203",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "3fff::1",
        "3fff:fff:ffff::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
async def test_addresses_outside_the_public_internet_are_refused(address: str) -> None:
    assert not is_public(address)
    with pytest.raises(ToolError, match="not on the public internet"):
        await always(address).addresses("innocent.example", 80)
    with pytest.raises(ToolError, match="not on the public internet"):
        await always("8.8.8.8", address).addresses("innocent.example", 80)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "64:ff9b::808:808"])
async def test_public_addresses_are_permitted(address: str) -> None:
    assert await always(address).addresses("innocent.example", 80) == [address]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "LOCALHOST.", "127.1", "2130706433", "0x7f.0.0.1", "[::1]", "[::ffff:127.0.0.1]"],
)
async def test_this_machine_is_refused_in_every_notation(server: WebServer, host: str) -> None:
    with pytest.raises(ToolError, match=r"not on the public internet|cannot be resolved"):
        await fetch(f"http://{host}:{server.port}/", AddressGuard())
    assert server.asked == []


@pytest.mark.parametrize("entry", ["localhost", "LocalHost", "localhost:{port}"])
async def test_an_allowed_host_is_connected_to(server: WebServer, entry: str) -> None:
    """Even if the first address of the name, such as ::1, cannot be connected to."""
    server.pages["/"] = answer("Hello")
    page = await fetch(f"http://localhost:{server.port}/", AddressGuard([entry.format(port=server.port)]))
    assert page.body == b"Hello"
    assert server.asked == [(f"localhost:{server.port}", "/")]


async def test_an_allowed_host_is_allowed_only_with_its_port(server: WebServer) -> None:
    for entry in ("localhost:1", "127.0.0.1", "ocalhost", "", "*"):
        with pytest.raises(ToolError, match="not on the public internet"):
            await fetch(f"http://localhost:{server.port}/", AddressGuard([entry]))
    assert server.asked == []


async def test_a_redirect_is_checked_like_the_first_url(server: WebServer) -> None:
    with WebServer() as inner:
        for target in (
            f"http://127.0.0.1:{inner.port}/secret",
            f"//localhost:{inner.port}/secret",
            "http://169.254.169.254/latest/meta-data",
            "file:///etc/passwd",
            f"http://user:key@127.0.0.1:{server.port}/",
            "http://[::1/",
        ):
            server.pages["/"] = redirect(target)
            with pytest.raises(ToolError):
                await got(server)
        assert inner.asked == []


@pytest.mark.parametrize(
    ("rule", "end"), [("allow", "redirects to {}"), ("approval: always", "Collected"), ("", "Collected")]
)
async def test_a_call_permitted_by_a_url_pattern_is_not_redirected_beyond_the_pattern(
    tmp_path: Path, server: WebServer, rule: str, end: str
) -> None:
    async def ask(_question: ApprovalRequest) -> Decision:
        return "once"

    with WebServer() as other:
        base, elsewhere = f"http://127.0.0.1:{server.port}", f"http://127.0.0.1:{other.port}/collect"
        server.pages |= {"/out": redirect(elsewhere), "/on": redirect("/end"), "/end": answer("The end")}
        other.pages["/collect"] = answer("Collected")
        options = f"allow: {{url: '{base}/*'}}" if rule == "allow" else rule
        make_env(tmp_path, {"a": f"name: a\ncapabilities: [{{tool: http_get, {options}}}]\nprompt: Read.\n"})
        hosts = f"http_allow: ['127.0.0.1:{server.port}', '127.0.0.1:{other.port}']\n"
        (tmp_path / "environment.yaml").write_text(hosts)
        pages = calls(*[("http_get", {"url": f"{base}/{name}"}) for name in ("out", "on")])
        async with Environment.open(tmp_path, llm=ScriptedLLM([pages, "Done."]), environ={}) as env:
            env.interaction.handler = Answers(approve=ask)
            history = (await env["a"].receive("Go")).session.history
    away, further = [str(message["content"]) for message in history if message["role"] == "tool"]
    assert end.format(elsewhere) in away
    assert further.endswith("The end")
    assert bool(other.asked) == (rule != "allow")


async def test_redirects_are_followed_up_to_a_limit(server: WebServer) -> None:
    for n in range(5):
        server.pages[f"/{n}"] = redirect(f"{n + 1}", [301, 302, 303, 307, 308][n])
    server.pages["/5"] = answer("There")
    assert (await got(server, "/0")).startswith(f"http://127.0.0.1:{server.port}/5 (text/plain)")
    server.pages["/round"] = redirect("/round")
    with pytest.raises(ToolError, match="more than 5 times"):
        await got(server, "/round")


async def test_a_name_is_looked_up_once_and_the_checked_address_is_used(server: WebServer) -> None:
    """A name that resolves to a public server first and to this machine later gains nothing."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    server.pages["/"] = answer("Hello")
    gate = AddressGuard(["no-such-name.invalid"], resolve)
    assert (await fetch(f"http://no-such-name.invalid:{server.port}/", gate)).body == b"Hello"
    assert asked == ["no-such-name.invalid"]
    assert server.asked == [(f"no-such-name.invalid:{server.port}", "/")]


async def test_proxy_variables_are_ignored(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with WebServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        server.pages["/"] = answer("Hello")
        assert (await got(server)).endswith("Hello")
        assert proxy.asked == []


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://a.example/", "a.example", "http://", "http:///x", "//a", "", "http://a:99999/"],
)
async def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ToolError, match="URL"):
        await fetch(url, AddressGuard())


async def test_urls_with_a_user_name_or_password_are_refused(server: WebServer) -> None:
    with pytest.raises(ToolError, match="user name or password"):
        await fetch(f"http://me:key@127.0.0.1:{server.port}/", allowing(server))
    assert server.asked == []


async def test_no_personal_headers_and_no_cookies_are_sent(server: WebServer) -> None:
    server.pages["/"] = answer(status=302, location="/next", set_cookie="a=b")
    server.pages["/next"] = answer("Hello")
    await got(server)
    assert [set(sent) for sent in server.headers] == [
        {"Host", "Accept", "Accept-Encoding", "Connection", "User-Agent"}
    ] * 2


# TLS


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority


def secured(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


async def test_a_certificate_must_be_for_the_host_name(authority: trustme.CA) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    names: list[str | None] = []
    context = secured(authority.issue_cert("river.example"))
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    with WebServer(context) as server:
        server.pages["/"] = answer("Hello")
        gate = AddressGuard(["river.example", "lake.example", "127.0.0.1"], resolve)
        page = await fetch(f"https://river.example:{server.port}/", gate)
        assert (page.body, page.url) == (b"Hello", f"https://river.example:{server.port}/")
        assert names == ["river.example"]
        for other in ("lake.example", "127.0.0.1"):
            with pytest.raises(ToolError, match=r"Cannot connect to.*certificate"):
                await fetch(f"https://{other}:{server.port}/", gate)
        assert len(server.asked) == 1


async def test_an_untrusted_certificate_is_refused(authority: trustme.CA) -> None:
    with WebServer(secured(trustme.CA().issue_cert("localhost"))) as server:
        with pytest.raises(ToolError, match="certificate"):
            await fetch(f"https://localhost:{server.port}/", AddressGuard(["localhost"]))
        assert server.asked == []


# Content


async def test_a_web_page_is_converted_to_markdown(server: WebServer) -> None:
    server.pages["/a/b"] = answer(PAGE, "text/html; charset=utf-8")
    base = f"http://127.0.0.1:{server.port}"
    assert await got(server, "/a/b") == (
        f"{base}/a/b (text/html)\n\n# Rivers & lakes\n\n# Rivers\n\n"
        f"The **Danube**, see [map]({base}/map?x=1).\n\n- one\n- two"
    )


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ('{"a": 1}', "application/json", '{"a": 1}'),
        ("a < b", "text/plain", "a < b"),
        ("Grüße".encode("latin-1"), "text/plain; charset=ISO-8859-1", "Grüße"),
        ("Grüße".encode("latin-1"), "text/plain", "Gr��e"),
        ("\ufeffGrüße".encode(), None, "Grüße"),
        ("x", 'text/plain; charset="no-such-thing"', "x"),
        ("x", "text/plain; charset=punycode", "x"),
        ("78", "text/plain; charset=hex", "78"),
        ('<meta charset="latin-1"><p>Gr\xfc\xdfe'.encode("latin-1"), "text/html", "Grüße"),
    ],
)
async def test_text_is_decoded_with_its_declared_encoding(
    server: WebServer, body: bytes | str, content_type: str | None, text: str
) -> None:
    server.pages["/"] = answer(body, content_type)
    assert (await got(server)).partition("\n\n")[2] == text


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"\x89PNG\0\0", "text/plain"), (b"%PDF-1.7 \xff\xfe", "application/pdf"), (b"\xff\xfe\xfd", None)],
)
async def test_binary_content_is_reported_and_not_shown(
    server: WebServer, body: bytes, content_type: str | None
) -> None:
    server.pages["/"] = answer(body, content_type)
    with pytest.raises(ToolError, match="is not text but"):
        await got(server)


async def test_an_error_status_includes_the_text_of_the_server(server: WebServer) -> None:
    server.pages["/"] = answer("<p>Gone <i>fishing</i>" + "x" * 10_000, "text/html", status=410)
    with pytest.raises(ToolError, match=r"responded with 410 Gone\. Gone \*fishing\*") as refused:
        await got(server)
    assert len(str(refused.value)) < 1000


async def test_an_unreachable_server_is_reported() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(ToolError, match="Cannot connect to"):
            await fetch(f"http://127.0.0.1:{port}/", AddressGuard(["127.0.0.1"]))
    for name in ("no-such-name.invalid", f"{'a' * 70}.example"):
        with pytest.raises(ToolError, match="cannot be resolved"):
            await fetch(f"http://{name}/", AddressGuard())


# Hostile servers


async def test_an_endless_response_is_cut(server: WebServer) -> None:
    server.pages["/"] = endless("é".encode() * 5000, content_type="text/plain")
    text = await got(server)
    assert text.endswith(f"[cut after {MAX_BYTES:,} bytes]")
    assert len(text.encode()) < MAX_BYTES + 200


async def test_a_gzip_bomb_is_decompressed_only_up_to_the_limit(server: WebServer) -> None:
    import tracemalloc

    bomb = gzip.compress(b"x" * 300_000_000)
    server.pages["/"] = answer(bomb, content_encoding="gzip")
    tracemalloc.start()
    try:
        page = await fetch(f"http://127.0.0.1:{server.port}/", allowing(server))
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert page.was_cut
    assert page.body == b"x" * MAX_BYTES


async def test_gzip_responses_are_decompressed_in_pieces(server: WebServer) -> None:
    server.pages["/"] = answer(gzip.compress(b"one ") + gzip.compress(b"two"), content_encoding="gzip")
    assert (await got(server)).endswith("\n\none two")
    server.pages["/"] = answer(b"no gzip at all", content_encoding="gzip")
    with pytest.raises(ToolError, match="was interrupted"):
        await got(server)
    server.pages["/"] = answer(b"x", content_encoding="br")
    with pytest.raises(ToolError, match="was not requested"):
        await got(server)


async def test_a_slow_server_is_given_up_after_the_time_limit(server: WebServer) -> None:
    server.pages["/slow"] = lambda handler: time.sleep(1.5)
    server.pages["/drip"] = endless(b"x", gap=0.1)
    start = time.perf_counter()
    for path in ("/slow", "/drip"):
        with pytest.raises(ToolError, match="did not respond within"):
            await fetch(f"http://127.0.0.1:{server.port}{path}", allowing(server), seconds=0.5)
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("html", ["<div>" * 200_000 + "deep", "<a>" * 100_000, "<table>" * 20_000, "<" * 1_000_000])
async def test_hostile_html_is_handled_in_time(server: WebServer, html: str) -> None:
    server.pages["/"] = answer(html, "text/html")
    start = time.perf_counter()
    await got(server)
    assert time.perf_counter() - start < 15


def test_the_tool_has_the_effect_network_and_uses_http_allow(server: WebServer, tmp_path: Path) -> None:
    server.pages["/"] = answer("Hello")
    url = f"http://127.0.0.1:{server.port}/"
    assert (http_get.name, http_get.effect) == ("http_get", "network")
    with pytest.raises(ToolError, match="not on the public internet"):
        call(http_get, tmp_path, url=url)
    (tmp_path / "environment.yaml").write_text(f"http_allow: ['127.0.0.1:{server.port}']\n")
    assert call(http_get, tmp_path, url=url).endswith("Hello")
