"""A diff reads well, and shows exactly what changes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_objects.tools.builtin.edit import TextChange
from prompt_objects.ui.render.diff import draw_diff
from prompt_objects.ui.render.style import plain

TEXTS = st.text(alphabet="ab\n\r\t -+\\@\u200b", max_size=30)


def shown(before: str | None, after: str, width: int = 100, path: str = "notes/a.txt") -> str:
    return plain(draw_diff(TextChange(path, before, after).diff(), width))


def test_a_new_file_has_a_title_instead_of_a_header() -> None:
    text = shown(None, "one\ntwo\n")
    assert text == "  notes/a.txt: new file, 2 lines\n+one\n+two"


def test_a_changed_file_has_a_title_and_its_hunks() -> None:
    text = shown("one\ntwo\nthree\n", "one\n2\n2.5\nthree\n")
    assert text == "  notes/a.txt: 1 line removed, 2 added\n@@ -1,3 +1,4 @@\n one\n-two\n+2\n+2.5\n three"


@pytest.mark.parametrize(
    ("before", "after", "note"),
    [
        (None, "one", ", without a line break at its end"),
        ("one\n", "two", ", the line break at its end is removed"),
        ("one", "two\n", ", a line break at its end is added"),
        ("one", "two", ""),
        ("one\n", "two\n", ""),
        ("a\nend", "b\nend", ""),
    ],
)
def test_only_a_change_of_the_last_line_break_is_shown(before: str | None, after: str, note: str) -> None:
    title, *rows = shown(before, after).split("\n")
    assert title.partition("line")[2].endswith(note)
    assert ("break" in title) == bool(note)
    assert not [row for row in rows if row.startswith("\\")]


def test_line_ends_of_windows_are_named_once_and_mixed_ones_are_marked() -> None:
    text = shown("one\r\ntwo\r\n", "one\r\n2\r\n")
    assert "lines end with CR LF" in text
    assert "␍" not in text
    assert "+2␍" in shown("one\ntwo\n", "one\n2\r\n")


def test_spaces_at_the_end_of_a_line_and_hidden_characters_are_visible() -> None:
    assert "+x = 1␠␠\n+y␛]0;z␇" in shown(None, "x = 1  \ny\x1b]0;z\x07\n")


def test_a_look_alike_in_the_path_is_marked() -> None:
    assert "notes/<U+0430>pp.py: new file" in shown(None, "x\n", path="notes/\u0430pp.py")


def test_a_line_that_looks_like_a_header_is_a_line() -> None:
    text = shown("-- a/x\n++ b/y\n", "@@ -1 +1 @@\n")
    assert text.startswith("  notes/a.txt: 2 lines removed, 1 added\n")
    assert text.endswith("\n--- a/x\n-++ b/y\n+@@ -1 +1 @@")


@pytest.mark.parametrize(
    "diff", ["guide wants to use x:", "--- a\n+++ b\n@@ -1 +1 @@\n-x", "--- a\n", "@@ -1 +1 @@\n+x"]
)
def test_a_text_that_is_no_diff_is_shown_as_it_is(diff: str) -> None:
    assert plain(draw_diff(diff, 60)) == "\n".join(f"  {row}" for row in diff.removesuffix("\n").split("\n"))


@settings(max_examples=200)
@given(st.none() | TEXTS, TEXTS, TEXTS)
def test_two_different_changes_of_a_file_never_look_the_same(before: str | None, one: str, other: str) -> None:
    if one != other:
        width = 20
        assert shown(before, one, width) != shown(before, other, width)
