import os
import time
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from prompt_objects.config.yaml import document
from prompt_objects.config.yaml.document import MAX_BYTES, YamlDocument, parse, read_text
from prompt_objects.errors import ConfigError

FILE = Path("some.yaml")


@pytest.fixture(params=["with the C parser", "without"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)


def read(text: str) -> YamlDocument:
    return parse(text, FILE, ConfigError)


def test_scalars_are_text_decimal_numbers_booleans_and_null() -> None:
    text = "[a, 'no', no, On, true, 12, -3, 1.5, 1e3, 1:30, 007, 0x10, 1_000, 2024-01-01, .nan, .inf, ~, null, '']"
    assert read(text).data == [
        *("a", "no", False, True, True, 12, -3, 1.5, 1000.0, "1:30", "007", "0x10", "1_000", "2024-01-01"),
        *(".nan", ".inf", None, None, ""),
    ]


def test_every_key_and_value_has_a_position() -> None:
    document = read("# a comment\nlimits:\n  turns: many\nlist:\n- é: [1, {deep: x}]\n")
    assert document.position_of() == (2, 1)
    assert document.position_of("limits", key=True) == (2, 1)
    assert document.position_of("limits", "turns", key=True) == (3, 3)
    assert document.position_of("limits", "turns") == (3, 10)
    assert document.position_of("list", 0, "é", 1, "deep") == (5, 17)
    assert document.source_of("limits", "turns") == "many"


def test_the_position_of_a_missing_key_is_that_of_its_parent() -> None:
    document = read("a:\n  b: 1\n")
    assert document.position_of("a", "c", "d") == document.position_of("a") == (2, 3)


def test_an_alias_has_a_position_and_its_values_have_those_of_the_anchor() -> None:
    document = read("first: &it {x: no}\nsecond: *it\n")
    assert document.data == {"first": {"x": False}, "second": {"x": False}}
    assert document.position_of("second") == (2, 9)
    assert document.position_of("second", "x") == (1, 16)


def test_a_file_of_comments_has_no_data() -> None:
    assert read("# nothing\n").data is None


@pytest.mark.parametrize(
    ("text", "position", "problem", "hint"),
    [
        ("a: 1\nb: c: d\n", (2, 5), "There is an extra ': ' in 'b: c: d'", "Quote"),
        ("a: 1\n\tb: 2\n", (2, 1), "'b: 2' is indented with a tab", "spaces"),
        ("a:\n  b: 1\n\tc: 2\n", (3, 1), "'c: 2' is indented with a tab", "spaces"),
        ("a: [1\n", (1, 4), "The [ at this position is not closed", "comma"),
        ("a: {b: 1\nc: 2\n", (1, 4), "The { at this position is not closed", "comma"),
        ("a: 'x\n\n", (1, 4), "The ' at this position is not closed", "Close"),
        ("a: @x\n", (1, 4), "Text cannot start with '@' in 'a: @x'", "quotes"),
        ("a: 1\nb: `x`\n", (2, 4), "Text cannot start with '`'", "quotes"),
        ("a: 1\nb: 2\n  \na: 3\n", (4, 1), "The key 'a' is given twice; first in line 1", "Remove one"),
        ("'a`b': 1\n", (1, 1), "The key 'a`b' contains a backtick", "Remove"),
        ("1: a\n", (1, 1), "The key '1' is not text", 'Quote it: "1"'),
        ("on: a\n", (1, 1), "The key 'on' is not text", 'Quote it: "on"'),
        ("a: {~: b}\n", (1, 5), "The key '~' is not text", 'Quote it: "~"'),
        ("? [a]\n: b\n", (1, 3), "A list or a mapping cannot be a key", ""),
        ("a: 1\n---\nb: 2\n", (2, 1), "A second document starts here", "only one document"),
        ("x: !!python/object/apply:os.system [id]\n", (1, 4), "The tag '!!python/object/apply:os.system'", "Remove"),
        ("a: postgresql: ann:s3cret@host\n", (1, 14), "an extra ': ' in 'a: postgresql: ann:***@host'", ""),
        ("x: !secret y\n", (1, 4), "The tag '!secret' is not supported", "quotes"),
        ("a: *b\n", (1, 4), "*b has no anchor before it", "&b"),
        ("a: &a [*a]\n", (1, 8), "*a has no anchor before it", "ends before it"),
        ("a: é\nb: é\x1b[31m\n", (2, 5), r"The character '\x1b' is not allowed in YAML", "escape"),
        ("a: \x00\n", (1, 4), r"The character '\x00'", "escape"),
        ("a: " + "[" * 5000, (1, 36), "nested more than 32 levels deep", ""),
        ("a: [" + "{b: [" * 5000, (1, 81), "nested more than 32 levels deep", ""),
        ("- " * 5000, (1, 67), "nested more than 32 levels deep", ""),
        ("- " * 5000 + "]", (1, 67), "nested more than 32 levels deep", ""),
        ("a: " + "[" * 32 + "}", (1, 36), "This is not valid YAML", ""),
    ],
)
def test_a_syntax_error_has_the_position_the_text_and_a_hint(
    text: str, position: tuple[int, int], problem: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert problem in str(caught.value)
    assert str(caught.value).startswith(f"some.yaml:{position[0]}:{position[1]}: ")
    assert (caught.value.line, caught.value.column) == position
    assert hint in caught.value.hint


@pytest.mark.parametrize("text", ['a: "\\ud800"\n', 'a: "\\UFFFFFFFF"\n', "%YAML 3.0\n---\na: 1\n", "- a\nb: 1\n"])
def test_invalid_yaml_is_an_error_not_a_crash(text: str) -> None:
    with pytest.raises(ConfigError):
        read(text)


def test_an_alias_bomb_is_rejected() -> None:
    names = "abcdefghij"
    lines = ["a: &a [" + "x," * 9 + "]"]
    lines += [f"{b}: &{b} [" + f"*{a}," * 9 + "]" for a, b in pairwise(names)]
    started = time.monotonic()
    with pytest.raises(ConfigError, match="expands the file to more than 100000 values") as caught:
        read("\n".join(lines))
    assert (caught.value.line, caught.value.column) == (6, 8)
    assert time.monotonic() - started < 2


def test_too_many_values_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = document.MAX_VALUES
    if not hasattr(yaml, "CSafeLoader"):  # the limit is ours, and the other parser takes seconds to reach it
        limit = 1000
        monkeypatch.setattr(document, "MAX_VALUES", limit)
    with pytest.raises(ConfigError, match=f"more than {limit} values"):
        read("[" + "a," * limit + "]")


def test_byte_order_mark_and_carriage_returns_are_removed(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: \xc3\xa9\r\n")
    assert read_text(file, ConfigError) == "a: 1\nb: é\n"


def test_invalid_utf8_is_reported_at_its_position(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes("a: 1\nb: é".encode() + b"\xff\n")
    with pytest.raises(ConfigError, match="byte 0xff at offset 10") as caught:
        read_text(file, ConfigError)
    assert (caught.value.line, caught.value.column) == (2, 5)
    assert "UTF-8" in caught.value.hint


def test_a_file_of_one_megabyte_is_read_and_a_larger_one_rejected(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"x" * MAX_BYTES)
    assert len(read_text(file, ConfigError)) == MAX_BYTES
    file.write_bytes(b"x" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="larger than 1 MB"):
        read_text(file, ConfigError)


def test_the_error_for_an_unreadable_file_gives_the_reason(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    for name, problem in {
        "gone": "There is no such file",
        "dangling": "The link is broken",
        "loop": "cannot be read",
        "pipe": "not a file",
        ".": "not a file",
        "x\0y": "cannot be read",
        "y" * 300: "cannot be read: File name too long",
    }.items():
        with pytest.raises(ConfigError, match=problem):
            read_text(tmp_path / name, ConfigError)


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("a: 1\n")
    (tmp_path / "link.yaml").symlink_to("real")
    assert read_text(tmp_path / "link.yaml", ConfigError) == "a: 1\n"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_read_permission_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: 1\n")
    file.chmod(0)
    with pytest.raises(ConfigError, match="Permission denied"):
        read_text(file, ConfigError)
