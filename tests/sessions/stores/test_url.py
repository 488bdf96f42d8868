"""The URL of a store: paths in full, passwords never shown."""

from pathlib import Path

import pytest

from prompt_objects.errors import UsageError
from prompt_objects.sessions.stores.registry import open_store, parse_store_url
from prompt_objects.sessions.stores.url import mask_passwords

HOUSE = Path("/env_dir")


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("files:here", "files:/env_dir/here"),
        ("files:/there/My Notes", "files:/there/My Notes"),
        ("sqlite:///notes.db", "sqlite:////env_dir/notes.db"),
        ("sqlite:////there/notes.db", "sqlite:////there/notes.db"),
        ("files:here/~nobodyatall", "files:/env_dir/here/~nobodyatall"),
        ("files:", "files:"),
        ("memory:", "memory:"),
        ("postgresql://host/notes", "postgresql://host/notes"),
    ],
)
def test_a_relative_path_begins_at_the_environment(given: str, full: str) -> None:
    assert parse_store_url(given, HOUSE).text == full


@pytest.mark.parametrize("kind", ["files:", "sqlite:///"])
def test_a_path_may_begin_at_home(kind: str) -> None:
    url = parse_store_url(f"{kind}~/x", HOUSE)
    assert (url.text, url.path) == (f"{kind}{Path.home() / 'x'}", Path.home() / "x")


@pytest.mark.parametrize("url", ["files:~nobodyatall/x", "sqlite:///~nobodyatall/y.db"])
def test_the_home_of_an_unknown_user_is_refused_and_not_created(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for opening in (lambda: parse_store_url(url, tmp_path), lambda: open_store(url)):
        with pytest.raises(UsageError, match="an unknown user's home folder"):
            opening()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["files:a\0b", "files:~a\0/b", "memory:\0", "sqlite:///a\0.db", "postgresql://h/\0"])
def test_a_url_with_a_character_that_no_path_can_have_names_no_store(url: str) -> None:
    with pytest.raises(UsageError, match="does not name a store"):
        open_store(parse_store_url(url, HOUSE).text)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:s3cret@host/notes", "postgresql://ann:***@host/notes"),
        ("postgresql://ann:s3:c@ret@host/notes", "postgresql://ann:***@host/notes"),
        ("postgresql://ann:s3/c?r#t@host:1/x", "postgresql://ann:***@host:1/x"),
        ("postgresql://ann@corp:s3cret@host/x", "postgresql://ann@corp:***@host/x"),
        ("postgresql+psycopg://ann:s3cret@host/x", "postgresql+psycopg://ann:***@host/x"),
        ("postgresql://h:1/x?user=ann&password=s3@cret&a=b", "postgresql://h:1/x?user=ann&password=***&a=b"),
        ("postgresql://h/x?SSLPassword=s3cret", "postgresql://h/x?SSLPassword=***"),
        ("postgresql://ann@host/notes", "postgresql://ann@host/notes"),
        ("postgresql://host:5432/notes", "postgresql://host:5432/notes"),
        ("files:/a:b@c", "files:/a:b@c"),
        ("postgresql:ann:s3cret@host", "postgresql:ann:***@host"),
        ("postgresql:/ann:s3cret@host/x", "postgresql:/ann:***@host/x"),
        ("postgresql:///ann:s3cret@host/x", "postgresql:///ann:***@host/x"),
        ("postgresql//ann:s3cret@host/x", "postgresql//ann:***@host/x"),
        ("postgresql:s3cret@host", "postgresql:***@host"),
        ("ann:s3cret@host", "ann:***@host"),
        ("ann:s3/cr@et@host", "ann:***@host"),
        ("postgresql://ann:s3cret/x", "postgresql://ann:***"),
        ("postgresql:ann:s3cret", "postgresql:ann:***"),
        ("postgresql:host=h password=s3cret user=ann", "postgresql:host=h password=*** user=ann"),
        ("postgresql://[::1]:5432/x", "postgresql://[::1]:5432/x"),
        ("nosuch:thing", "nosuch:thing"),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert mask_passwords(url) == shown
