import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_objects.ui.render.sanitize import clean, clean_line, visible

ANY = st.text(alphabet=st.characters(exclude_categories=()), max_size=60)
HOSTILE = st.lists(
    st.sampled_from(
        ["\x1b", "[", "]", "0;", "31m", "\x07", "\x9b", "\\", "P", "\r", "\n", "\t", "a", "é", "\u200d", "\u202e"]
    ),
    max_size=30,
).map("".join)


@given(ANY | HOSTILE)
def test_no_control_character_remains(text: str) -> None:
    kept = clean(text)
    assert [char for char in kept if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} and char != "\n"] == []
    assert not set(kept) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200e\u200f\ufeff")
    assert "\n" not in clean_line(text)


@given(ANY | HOSTILE)
def test_cleaning_is_idempotent(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "Zs")), max_size=60))
def test_ordinary_text_of_any_script_is_unchanged(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;owned\x07title", "title"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;never ended", "␛]0;never ended"),
        ("\x1b\x1b[0m[2Jx", "␛[2Jx"),
        ("bell\a", "bell␇"),
        ("a\x9b2Jb", "ab"),
        ("a\x9db", "a\ufffdb"),
        ("safe\revil", "safe\nevil"),
        ("one\r\ntwo", "one\ntwo"),
        ("a\tb", "a   b"),
        ("abc\u202etxt.exe", "abc\ufffdtxt.exe"),
        ("pass\u200bword\u2060", "password"),
        ("hidden\U000e0041", "hidden"),
        ("\udc1b", "\ufffd"),
        ("👩\u200d💻 and ❤\ufe0f", "👩\u200d💻 and ❤\ufe0f"),
        ("ad\u200dmin", "admin"),
        ("क्\u200cष", "क्\u200cष"),
    ],
)
def test_text_is_cleaned_to(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_a_long_hostile_text_is_fast() -> None:
    start = time.perf_counter()
    clean("\x1b]" * 200_000)
    clean("\x1b[" * 200_000)
    clean("\u200d" * 200_000)
    assert time.perf_counter() - start < 10


@given(ANY | HOSTILE)
def test_every_character_of_an_edited_line_is_visible(text: str) -> None:
    shown = visible(text)
    assert len(shown) == len(text)
    assert not set(shown) & set("\u202e\u2066\u200b\u200e\ufeff\u2028\u2029\x1b\x9b\xad")


def test_ordinary_letters_of_an_edited_line_are_unchanged() -> None:
    assert visible("né 漢字 👩\u200d💻\tx") == "né 漢字 👩\u200d💻\tx"
    assert visible("a\u202eb\u200bc\x1bd\u2028e") == "a\ufffdb\ufffdc␛d\ufffde"
