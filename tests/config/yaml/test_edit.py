"""An edit of one key leaves every other byte of the file unchanged."""

import difflib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from prompt_objects.config.yaml.edit import CannotEdit, append_items, remove_item, set_text

FILE = """\
# Who reads: ein Büro, 😀
name: "reader"   # quoted, for no reason

capabilities:   # what it may use
  # the first one matters
  - read_file   # all of it
  - {tool: write_file, approval: ask}

  - po: scout
    context: continue
# above the prompt
prompt: |  # as it is
   You read.

   Slowly: "always".


limits: {requests: 3}  # few
"""


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    lines = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    return [line[2:] for line in lines if line[0] == "-"], [line[2:] for line in lines if line[0] == "+"]


def test_a_prompt_is_replaced_in_the_style_of_the_old_one() -> None:
    after = set_text(FILE, "prompt", "You skim.\n\n  Quickly: # and well", before="")
    assert changed_lines(FILE, after) == (
        ["   You read.", '   Slowly: "always".'],
        ["   You skim.", "     Quickly: # and well"],
    )
    assert yaml.safe_load(after)["prompt"].strip() == "You skim.\n\n  Quickly: # and well"


def test_items_are_appended_and_removed() -> None:
    added = append_items(
        FILE, "capabilities", ["list_files", {"tool": "x", "allow": {"path": ["a/*", "no"]}}], before=""
    )
    assert changed_lines(FILE, added) == ([], ["  - list_files", '  - {tool: x, allow: {path: ["a/*", "no"]}}'])
    removed = remove_item(FILE, "capabilities", 2)
    assert changed_lines(FILE, removed) == (["  - po: scout", "    context: continue"], [])
    assert changed_lines(FILE, remove_item(FILE, "capabilities", 0)) == (["  - read_file   # all of it"], [])


@pytest.mark.parametrize(
    ("text", "added", "removed"),
    [
        ("a: 1\nl: [x, y]  # c\nb: 2\n", "a: 1\nl: [x, y, z]  # c\nb: 2\n", "a: 1\nl: [y]  # c\nb: 2\n"),
        ("l: [\n  x,  # one\n  y,\n]\n", "l: [\n  x,  # one\n  y, z,\n]\n", "l: [\n  y,\n]\n"),
        ("a: 1\nl:\n- x\n- y", "a: 1\nl:\n- x\n- y\n- z", "a: 1\nl:\n- y"),
        ("{a: 1, l: [x, y], b: é}", "{a: 1, l: [x, y, z], b: é}", "{a: 1, l: [y], b: é}"),
        ("a: 1\r\nl:\r\n  - x\r\n  - y\r\n", "a: 1\r\nl:\r\n  - x\r\n  - y\r\n  - z\r\n", "a: 1\r\nl:\r\n  - y\r\n"),
        ("l: [x]\n", "l: [x, z]\n", "l: []\n"),
        ("l:\n  - x  # only\nb: 2\n", "l:\n  - x  # only\n  - z\nb: 2\n", "l: []  # only\nb: 2\n"),
    ],
)
def test_an_edited_list_keeps_its_style(text: str, added: str, removed: str) -> None:
    assert append_items(text, "l", ["z"], before="b") == added
    assert remove_item(text, "l", 0) == removed


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("a: 1\nb: 2\n", "a: 1\nl:\n  - z\nb: 2\n"),
        ("a: 1\nl:\nb: 2\n", "a: 1\nl:\n  - z\nb: 2\n"),
        ("a: 1\nl: []\nb: 2\n", "a: 1\nl: [z]\nb: 2\n"),
        ("a: |\n  x\n\n# about b\nb: 2\n", "a: |\n  x\nl:\n  - z\n\n# about b\nb: 2\n"),
        ("b: 2\n", "l:\n  - z\nb: 2\n"),
        ("a: 1", "a: 1\nl:\n  - z"),
        ("{a: 1, b: 2}", "{a: 1, l: [z], b: 2}"),
        ("{a: 1}", "{a: 1, l: [z]}"),
    ],
)
def test_a_missing_list_is_inserted_before_the_given_key(text: str, after: str) -> None:
    assert append_items(text, "l", ["z"], before="b") == after
    assert yaml.safe_load(after)["l"] == ["z"]


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("t: old # c\nb: 2\n", "t: new # c\nb: 2\n"),
        ("t:   'old'\n", "t:   new\n"),
        ("t:\nb: 2\n", "t: new\nb: 2\n"),
        ("t: old\n  goes on\nb: 2\n", "t: new\nb: 2\n"),
        ("t:\n  old\nb: 2\n", "t:\n  new\nb: 2\n"),
        ("b: &d 2\nt: *d # c\n", "b: &d 2\nt: new # c\n"),
        ('{"t": "old", b: 2}\n', '{"t": new, b: 2}\n'),
        ("a: 1\nb: 2\n", "a: 1\nt: new\nb: 2\n"),
        ("t: >-\n    old\n    text\nb: 2\n", "t: |\n    new\nb: 2\n"),
    ],
)
def test_a_text_is_replaced_or_inserted_before_the_given_key(text: str, after: str) -> None:
    assert set_text(text, "t", "new", before="b") == after


def test_a_text_that_an_alias_refers_to_is_not_replaced() -> None:
    with pytest.raises(CannotEdit, match=r"\*d refers to a value inside `t`"):
        set_text("t: &d old\nb: *d\n", "t", "new", before="b")


@pytest.mark.parametrize("text", ["l: x\n", "- l\n", "l: [x\n", ""])
def test_other_values_and_invalid_yaml_are_not_edited_as_lists(text: str) -> None:
    with pytest.raises(CannotEdit):
        append_items(text, "l", ["z"], before="")


WORDS = st.text(st.sampled_from("ab é😀:#-'\"|>{}[],&*!%@\\\n\t 0") | st.sampled_from("yesnoNUL~?`")).map(str.strip)


@given(value=WORDS.filter(bool), items=st.lists(WORDS.filter(bool), min_size=1, max_size=3))
def test_written_values_and_the_rest_are_read_back(value: str, items: list[str]) -> None:
    value = "\n".join(line.rstrip("\t") if not line.strip() else line for line in value.split("\n"))
    before = yaml.safe_load(FILE)
    for text, key, expected in [
        (set_text(FILE, "prompt", value, before=""), "prompt", value),
        (set_text(FILE, "description", value, before="prompt"), "description", value),
        (append_items(FILE, "capabilities", items, before=""), "capabilities", before["capabilities"] + items),
    ]:
        data = yaml.safe_load(text)
        found = data.pop(key)
        assert (found.strip() if isinstance(found, str) else found) == expected
        assert data == {name: old for name, old in before.items() if name != key}
