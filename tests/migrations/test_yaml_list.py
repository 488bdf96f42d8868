"""YAML parsed with and without the C library gives the same removed list."""

from pathlib import Path

import pytest
import yaml

from prompt_objects.config.yaml.edit import CannotEdit, InvalidYaml
from prompt_objects.migrations.change import OldList
from prompt_objects.migrations.yaml_list import remove_list

FIXTURES = Path(__file__).parent / "0001"
TEXTS = [path.read_text(encoding="utf-8") for path in sorted(FIXTURES.glob("*/before/objects/*.y*ml"))]
MORE = [
    "name: é😀\r\nhistory: [{role: user}]\r\nx: 1",
    "{history: [], name: x}",
    "history:\n- |+\n a\n\n\n# c\nb: 1\n",
]


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="there is only one reader")
@pytest.mark.parametrize("text", [text for text in (*TEXTS, *MORE) if "\\ud83d" not in text])
def test_both_readers_agree(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = outcome(text)
    monkeypatch.delattr(yaml, "CSafeLoader")
    assert fast == outcome(text)


def outcome(text: str) -> tuple[str, OldList] | str | None:
    try:
        return remove_list(text, "history")
    except InvalidYaml:
        return "no YAML"
    except CannotEdit as error:
        return str(error)


def test_text_that_only_the_slower_parser_accepts_is_read_by_it() -> None:
    taken = remove_list('a: 1\nhistory: ["\\ud83d\\ude00"]\n', "history")
    assert taken
    text, found = taken
    assert (text, found.fragments[0].value) == ("a: 1\n", "\ud83d\ude00")


def test_a_text_without_the_key_is_not_touched() -> None:
    assert remove_list("a:\n  history: []\n", "history") is None
    assert remove_list("- history: []\n", "history") is None
    assert remove_list("", "history") is None


@pytest.mark.parametrize("opening", ["[", "{a: "])
def test_text_nested_too_deep_is_not_edited(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    with pytest.raises(CannotEdit, match="nested more than 200 levels deep"):
        remove_list(f"history: {opening * 5000}{closing * 5000}\n", "history")
