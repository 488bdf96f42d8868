import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth

from prompt_objects.ui.render.style import plain
from prompt_objects.ui.render.text import (
    cell_width,
    error_lines,
    fit,
    format_bytes,
    format_duration,
    hard_wrap,
    paragraph,
    user_message,
    word_wrap,
)


@given(st.text(max_size=60))
def test_the_width_of_a_text_is_the_one_that_prompt_toolkit_draws(text: str) -> None:
    assert cell_width(text) == get_cwidth(text)


@given(st.text(max_size=60), st.integers(1, 40))
def test_fitted_text_is_never_wider_than_the_width(text: str, width: int) -> None:
    assert get_cwidth(fit(text, width)) <= width


@given(st.text(alphabet="ab 漢é\n", max_size=60), st.integers(2, 20))
def test_hard_wrapping_keeps_every_letter_and_the_width(text: str, width: int) -> None:
    lines = hard_wrap(text, width)
    assert "".join(lines) == text.replace("\n", "")
    assert all(get_cwidth(line) <= width for line in lines)


@given(st.text(alphabet="ab 漢é❤\ufe0f\n", max_size=60), st.integers(2, 20))
def test_word_wrapping_keeps_every_word_and_the_width(text: str, width: int) -> None:
    lines = word_wrap(text, width)
    assert "".join(lines).replace(" ", "") == text.replace("\n", "").replace(" ", "")
    assert all(get_cwidth(line) <= width for line in lines)
    if all(2 * len(word) <= width for word in text.split()):
        assert " ".join(lines).split() == text.split()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two three", ["one two", "three"]),
        ("one  two    three", ["one  two", "three"]),
        ("  one two three", ["  one two", "three"]),
        ("see abcdefghijklmno", ["see abcdef", "ghijklmno"]),
        ("漢字 漢字漢", ["漢字", "漢字漢"]),
        ("漢字漢字漢字", ["漢字漢字漢", "字"]),
        ("❤\ufe0f❤\ufe0f ❤\ufe0f❤\ufe0f❤\ufe0f", ["❤\ufe0f❤\ufe0f", "❤\ufe0f❤\ufe0f❤\ufe0f"]),
        ("exactly10 and", ["exactly10", "and"]),
        ("0123456789 and", ["0123456789", "and"]),
        ("one\n\n two", ["one", "", " two"]),
        ("", [""]),
        ("            ", [""]),
    ],
)
def test_text_is_wrapped_at_spaces_by_cells(text: str, lines: list[str]) -> None:
    assert word_wrap(text, 10) == lines


def test_further_lines_are_indented_by_the_lead() -> None:
    assert plain(paragraph("one two three", 9, lead="! ")) == "! one two\n  three"


def test_a_user_message_follows_its_prompt() -> None:
    assert plain(user_message("po> ", "one\ntwo", 60)) == "po> one\n    two"


def test_a_huge_message_shows_its_beginning_and_its_end() -> None:
    lines = plain(user_message("po> ", "\n".join(f"line {n}" for n in range(1000)), 60)).splitlines()
    assert lines[0] == "po> line 0"
    assert lines[20] == "    … 960 lines …"
    assert lines[-1] == "    line 999"
    assert len(lines) == 41


@pytest.mark.parametrize(
    "text", ["x = 1\n" * 170_000, "word " * 200_000, "漢字" * 160_000], ids=["lines", "line", "wide"]
)
def test_wrapping_a_megabyte_is_fast(text: str) -> None:
    start = time.perf_counter()
    hard_wrap(text, 80)
    word_wrap(text, 80)
    assert time.perf_counter() - start < 5


def test_an_error_has_its_hint_below() -> None:
    assert plain(error_lines("It broke.", "Repair it.", 60)) == "✗ It broke.\n  Repair it."


def test_sizes_and_durations_are_formatted() -> None:
    assert [format_bytes(n) for n in (0, 999, 1200, 2_500_000)] == ["0 B", "999 B", "1.2 kB", "2.5 MB"]
    assert [format_duration(s) for s in (0.0031, 2.44, 75.2)] == ["3 ms", "2.4 s", "75 s"]
