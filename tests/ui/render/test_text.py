import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth

from prompt_objects.ui.render import text as drawing
from prompt_objects.ui.render.style import plain


@given(st.text(max_size=60), st.integers(1, 40))
def test_a_text_that_is_cut_fits(text: str, width: int) -> None:
    assert get_cwidth(drawing.fit(text, width)) <= width


@given(st.text(alphabet="ab 漢é\n", max_size=60), st.integers(2, 20))
def test_folding_keeps_every_letter_and_the_width(text: str, width: int) -> None:
    lines = drawing.hard_wrap(text, width)
    assert "".join(lines) == text.replace("\n", "")
    assert all(get_cwidth(line) <= width for line in lines)


@given(st.text(alphabet="ab 漢é❤\ufe0f\n", max_size=60), st.integers(2, 20))
def test_wrapping_keeps_every_word_and_the_width_and_breaks_only_longer_words(text: str, width: int) -> None:
    lines = drawing.word_wrap(text, width)
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
def test_a_text_is_wrapped_at_spaces_by_its_cells(text: str, lines: list[str]) -> None:
    assert drawing.word_wrap(text, 10) == lines


def test_what_follows_a_lead_stands_below_the_first_word() -> None:
    assert plain(drawing.paragraph("one two three", 9, lead="! ")) == "! one two\n  three"


def test_what_was_said_stands_behind_its_prompt() -> None:
    assert plain(drawing.user_message("po> ", "one\ntwo", 60)) == "po> one\n    two"


def test_of_a_huge_message_the_beginning_and_the_end_are_shown_again() -> None:
    lines = plain(drawing.user_message("po> ", "\n".join(f"line {n}" for n in range(1000)), 60)).splitlines()
    assert lines[0] == "po> line 0"
    assert lines[20] == "    … 960 lines …"
    assert lines[-1] == "    line 999"
    assert len(lines) == 41


@pytest.mark.parametrize(
    "text", ["x = 1\n" * 170_000, "word " * 200_000, "漢字" * 160_000], ids=["lines", "line", "wide"]
)
def test_folding_a_megabyte_takes_no_time_to_speak_of(text: str) -> None:
    start = time.perf_counter()
    drawing.hard_wrap(text, 80)
    drawing.word_wrap(text, 80)
    assert time.perf_counter() - start < 5


def test_errors_say_what_to_do() -> None:
    assert plain(drawing.error("It broke.", "Mend it.", 60)) == "✗ It broke.\n  Mend it."


def test_sizes_and_times_are_put_into_words() -> None:
    assert [drawing.size("x" * n) for n in (0, 999, 1200, 2_500_000)] == ["0 B", "999 B", "1.2 kB", "2.5 MB"]
    assert [drawing.duration(s) for s in (0.0031, 2.44, 75.2)] == ["3 ms", "2.4 s", "75 s"]
