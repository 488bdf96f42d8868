"""The URL of a store: paths in full, passwords never shown."""

from pathlib import Path

import pytest

from prompt_objects.sessions.stores.url import masked, resolved

HOUSE = Path("/house")


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("files:here", "files:/house/here"),
        ("files:/there/My Notes", "files:/there/My Notes"),
        ("sqlite:///notes.db", "sqlite:////house/notes.db"),
        ("sqlite:////there/notes.db", "sqlite:////there/notes.db"),
        ("files:~nobodyatall/x", "files:/house/~nobodyatall/x"),
        ("files:", "files:"),
        ("memory:", "memory:"),
        ("postgresql://host/notes", "postgresql://host/notes"),
    ],
)
def test_a_relative_path_begins_at_the_environment(given: str, full: str) -> None:
    assert resolved(given, HOUSE) == full


def test_a_path_may_begin_at_home() -> None:
    assert resolved("files:~/x", HOUSE) == f"files:{Path.home() / 'x'}"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:s3cret@host/notes", "postgresql://ann:***@host/notes"),
        ("postgresql://ann:s3:c@ret@host/notes", "postgresql://ann:***@host/notes"),
        ("postgresql://ann@host/notes", "postgresql://ann@host/notes"),
        ("postgresql://host:5432/notes", "postgresql://host:5432/notes"),
        ("files:/a:b@c", "files:/a:b@c"),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert masked(url) == shown
