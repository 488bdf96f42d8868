"""`*` stays within a part, `**` crosses parts, and no wildcard matches a hidden name or `..`."""

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_objects.config.glob import MAX_LENGTH, Glob

PATHS = st.lists(st.text(alphabet="ab.", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)
PATTERNS = st.lists(st.sampled_from(["a", "b", ".", "/", "*", "**", "?", "[ab]", "**/"]), min_size=1, max_size=8).map(
    "".join
)


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        (
            "notes/*",
            ["notes/a.txt", "notes/x"],
            ["notes/a/b", "notes", "notes/.env", "notes/..", "other/a", "notesx/a"],
        ),
        ("notes/**", ["notes/a", "notes/a/b/c.md"], ["notes", "notes/.git/x", "notes/a/../../x", "notes/a/.x"]),
        ("**/*.md", ["a.md", "x/y/a.md"], ["a.mdx", ".md", "x/.md", ".x/a.md"]),
        ("**", ["a", "a/b/c"], [".env", "a/.env", "../a"]),
        ("*", ["a"], ["a/b", ".a"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb", "a/.x/b"]),
        ("docs/*-draft.md", ["docs/x-draft.md"], ["docs/x/y-draft.md", "docs/x-final.md"]),
        ("v?.[0-9]", ["v1.2", "va.0"], ["v/.2", "v1.x", "v.2"]),
        ("[!a]b", ["bb", "xb"], ["ab", "/b", ".b"]),
        (".github/*", [".github/x"], [".github/.x", "xgithub/x"]),
        ("a.b", ["a.b"], ["axb"]),
        ("[x", ["[x"], ["x"]),
    ],
)
def test_a_pattern_matches(pattern: str, matching: list[str], other: list[str]) -> None:
    glob = Glob(pattern)
    assert [text for text in matching if not glob.matches(text)] == []
    assert [text for text in other if glob.matches(text)] == []


@given(PATTERNS, PATHS)
def test_nothing_matches_that_did_not_match_in_the_shell(pattern: str, path: str) -> None:
    if Glob(pattern).matches(path):
        assert fnmatchcase(path, pattern) or fnmatchcase(path, re.sub(r"\*\*/", "", pattern)) or "**/" in pattern
        if "**" not in pattern:
            assert path.count("/") == pattern.count("/")


@given(PATHS)
def test_no_wildcard_matches_a_hidden_name(path: str) -> None:
    if Glob("**").matches(path):
        assert not any(name.startswith(".") for name in path.split("/"))


def test_the_time_is_bounded() -> None:
    assert not Glob("**a" * 30 + "b").matches("a" * MAX_LENGTH)
    assert not Glob("**").matches("a" * (MAX_LENGTH + 1))
