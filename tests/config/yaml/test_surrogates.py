"""Definitions that were written as JSON load, whatever characters they hold."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_objects.config.yaml.document import YamlDocument, parse
from prompt_objects.errors import DefinitionError

FILE = Path("a.yaml")
CHARACTERS = st.text(st.sampled_from('a\\"u d83d😀🏳\ue000\ue800\uf000\U0010ffff'), max_size=12)


def read(text: str) -> YamlDocument:
    return parse(text, FILE, DefinitionError)


@given(CHARACTERS)
def test_what_json_writes_is_read_back(value: str) -> None:
    assert read(json.dumps({"name": value})).data == {"name": value}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'a: "\ud83d\ude00"', "😀"),
        (r'a: "\uD83D\uDE00 \ue03d"', "😀 \ue03d"),
        ('b: "\\ud83d\\ude00"\na: |\n  \\ud83d\\ude00\n', "\\ud83d\\ude00\n"),
        ('b: "\\ud83d\\ude00"\na: \\ud83d\\ude00', "\\ud83d\\ude00"),
    ],
)
def test_only_escapes_in_double_quotes_are_characters(text: str, value: Any) -> None:
    assert read(text).data["a"] == value


def test_positions_after_an_escape_are_those_in_the_file() -> None:
    text = r'{"a": "\ud83d\ude00", "b": 1}'
    assert read(text).position_of("b", key=True) == (1, text.index('"b"') + 1)


def test_half_a_character_is_an_error() -> None:
    with pytest.raises(DefinitionError, match="valid YAML"):
        read(r'a: "\ud83d"')
