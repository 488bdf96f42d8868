"""Patterns of `allow` are compared with the parts of a value, and say in words what they match."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_objects.config.patterns import parse_pattern

DOCS = "https://docs.example.org/guide/*"


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        (
            "https://docs.example.org/**",
            [
                "https://docs.example.org",
                "https://docs.example.org/",
                "https://docs.example.org:443/a/b.html#part",
                "HTTPS://DOCS.Example.org./a",
            ],
            [
                "http://docs.example.org/",
                "https://docs.example.org:8443/",
                "https://docs.example.org.evil.example/",
                "https://docs.example.org@evil.example/",
                "https://docs.example.org:443@evil.example/",
                "https://docs.example.org\\@evil.example/",
                "https://evil.example/#https://docs.example.org/",
                "https://evil.example/?https://docs.example.org/",
                "https://evil.example\\.docs.example.org/",
                "https://docs.example.org/a/../../b",
                "https://docs.example.org/%2e%2e/b",
                "https://docs.example.org/a%2fb",
                "https://docs.example.org/a\tb",
                "https://docs.example.org/ b",
                " https://docs.example.org/",
                "https://docs.example.org/?q=secret",
                "https://ann:pw@docs.example.org/",
                "https:/docs.example.org/",
                "https:docs.example.org/",
                "//docs.example.org/",
                "https://d\u043ecs.example.org/",
                "https://docs\u3002example.org/",
            ],
        ),
        (
            DOCS,
            ["https://docs.example.org/guide/a"],
            ["https://docs.example.org/guide/a/b", "https://docs.example.org/"],
        ),
        ("https://docs.example.org", ["https://docs.example.org/"], ["https://docs.example.org/a"]),
        (
            "https://*.example.org/**",
            ["https://a.example.org/x"],
            [
                "https://example.org/",
                "https://a.b.example.org/",
                "https://a.example.org.evil/",
                "https://evil/.example.org/",
            ],
        ),
        (
            "https://**.example.org/",
            ["https://a.b.example.org/", "https://example.org/"],
            ["https://evil/a.example.org/", "https://a.example.org.evil/", "https://aexample.org/"],
        ),
        ("http://localhost:8080/*", ["http://localhost:8080/x"], ["http://localhost/x", "http://localhost:80/x"]),
        ("http://localhost:*/*", ["http://localhost:8080/x", "http://localhost/x"], ["https://localhost/x"]),
        ("*://h/", ["http://h/", "https://h:443/"], ["http://h:8080/"]),
        ("https://h/s?q=*", ["https://h/s?q=a"], ["https://h/s", "https://h/s?q=a&x=1", "https://h/s?x=1"]),
        ("https://h/s?**", ["https://h/s", "https://h/s?q=a&x=1"], ["https://h/t?q=a"]),
        ("http://[::1]:80/**", ["http://[::1]/x"], ["http://[::2]/x"]),
        ("*", [], ["https://h/", "x"]),
        ("docs.example.org/*", [], ["https://docs.example.org/a", "docs.example.org/a"]),
    ],
)
def test_a_pattern_for_urls(pattern: str, matching: list[str], other: list[str]) -> None:
    parsed = parse_pattern(pattern, "url")
    assert [text for text in matching if not parsed.matches(text)] == []
    assert [text for text in other if parsed.matches(text)] == []
    assert bool(parsed.problem) == (not matching)


@given(st.text(alphabet=":/@.?#\\%&eEhtps*ok-\t \u3002[]1", max_size=40))
def test_a_pattern_never_leaves_its_scheme_host_and_port(rest: str) -> None:
    import httpx2

    url = f"https://ok.example{rest}"
    if parse_pattern("https://ok.example/**", "url").matches(url):
        parsed = httpx2.URL(url)
        assert (parsed.scheme, parsed.host.removesuffix("."), parsed.port or 443) == ("https", "ok.example", 443)
        assert not parsed.userinfo


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("git status", ["git status"], ["git status -s", "git  status", "git", "git status\nrm x"]),
        (
            "git log **",
            ["git log", "git log --oneline -3"],
            ["git log; rm x", "git log | sh", "git log $(x)", "git logx"],
        ),
        (
            "git show *",
            ["git show main"],
            ["git show", "git show -p", "git show a b", "git show a/b", "git show ../x"],
        ),
        (
            "cat notes/*",
            ["cat notes/a.txt"],
            ["cat notes/.env", "cat notes/a notes/b", "cat notes/a>b", "cat 'notes/a'"],
        ),
        ("ls *.txt", ["ls a.txt"], ["ls -a.txt", "ls *.txt", "ls a/b.txt"]),
    ],
)
def test_a_pattern_for_commands(pattern: str, matching: list[str], other: list[str]) -> None:
    parsed = parse_pattern(pattern, "command")
    assert [text for text in matching if not parsed.matches(text)] == []
    assert [text for text in other if parsed.matches(text)] == []


@pytest.mark.parametrize(
    ("kind", "pattern", "words"),
    [
        ("path", "notes/a.txt", "exactly notes/a.txt"),
        ("path", "notes/*", "anything directly in notes/"),
        ("path", "notes/**", "anything in notes/ and its subfolders"),
        ("path", "*", "anything directly in the environment's folder"),
        ("path", "/data/**", "anything in /data/ and its subfolders"),
        ("path", "**/*.md", "a path that matches **/*.md, with * for part of one name, and ** for any folders"),
        (
            "url",
            "https://h.example/**",
            "a URL with the scheme https, the host h.example, the port 443, a path below / and no query",
        ),
        (
            "url",
            "http://*:*/a?**",
            "a URL with the scheme http, the host *, the port any, the path /a and any query or none",
        ),
        ("command", "git log **", "the command git log and any further words"),
        ("command", "git status", "the command git status"),
        ("command", "cat *", "a command that matches cat *, with * for part of one word and no /"),
        ("text", "hello", "exactly hello"),
        ("text", "**", "any text"),
        ("text", "owner/*", "a text that matches owner/*, where * does not match /"),
    ],
)
def test_a_pattern_is_described_in_words(kind: Any, pattern: str, words: str) -> None:
    assert parse_pattern(pattern, kind).describe() == words


@pytest.mark.parametrize(
    ("kind", "pattern", "problem"),
    [
        ("path", "notes/", "write notes/**"),
        ("path", "../x", "resolved"),
        ("url", "*", "looks like https://HOST/**"),
        ("command", "git ** log", "at the end"),
    ],
)
def test_a_pattern_that_matches_nothing_says_why(kind: Any, pattern: str, problem: str) -> None:
    assert problem in parse_pattern(pattern, kind).problem
