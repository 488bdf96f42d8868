"""Where the user decides, every character is visible, and different texts look different."""

import json
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_objects.ui.render.lookalikes import looks_like_ascii
from prompt_objects.ui.render.reveal import LINE_BREAK, escape_hidden, exact_code, exact_paragraph, reveal
from prompt_objects.ui.render.sanitize import clean
from prompt_objects.ui.render.style import Line, plain

TRICKS = "\x1b\x07\x9b\x9d\r\n\t\xa0\xad\u200b\u200d\u202e\u2066\u2028\ufe0f\u3164\U000e0041\u2800\u0301\u00e9"
TRICKS += "e\u0430a <U+202E>…\u241b\u240a\u2420\u212bÅ\u115f\ud800\ue000\uff0f/"
TEXT = st.text(alphabet=st.sampled_from(TRICKS) | st.characters(exclude_categories=()), max_size=40)
HIDDEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"}


def original(shown: str) -> str:
    """Read a revealed text back."""
    signs = {chr(0x2400 + code): chr(code) for code in range(0x21)} | {"\u2421": "\x7f"}
    return re.sub(
        "<U\\+([0-9A-F]+)>|[\u2400-\u2421]",
        lambda found: chr(int(found[1], 16)) if found[1] else signs[found[0]],
        shown,
    )


def joined(lines: list[Line], width: int, lead: str) -> str:
    """Put the rows of a paragraph together again."""
    rows = plain(lines).split("\n")
    text = rows[0].removeprefix(lead)
    for row in rows[1:]:
        assert row.startswith(" " * len(lead))
        sign, rest = row[len(lead) : len(lead) + 1], row[len(lead) + 1 :]
        text += rest if sign == "…" or text.endswith(LINE_BREAK) else f" {rest}"
        assert sign in {"…", " "}
    assert all(len(row) <= width for row in rows if row.isascii())
    return text


@given(TEXT)
def test_every_character_can_be_read_back_so_different_texts_look_different(text: str) -> None:
    for is_code in (False, True):
        assert original(reveal(text, is_code=is_code)) == text


@given(TEXT)
def test_nothing_invisible_is_left(text: str) -> None:
    shown = reveal(text)
    assert [each for each in shown if unicodedata.category(each) in HIDDEN and each != " "] == []
    assert unicodedata.is_normalized("NFC", shown)
    assert not shown.endswith(" ")
    assert clean(shown) == shown


@given(st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1).map(str.strip))
def test_ordinary_text_is_unchanged(text: str) -> None:
    if not re.search(r"<U\+[0-9A-F]{4,6}>", text):
        assert reveal(text) == reveal(text, is_code=True) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ls -l\x1b]; touch x ; : \x07", "ls -l␛]; touch x ; : ␇"),
        ("\x9b2Jb\x7f", "<U+009B>2Jb␡"),
        ("abc\u202etxt.exe", "abc<U+202E>txt.exe"),
        ("pass\u200bword\U000e0041", "pass<U+200B>word<U+E0041>"),
        ("one\r\n\ttwo", "one␍␊␉two"),
        ("rm -rf  \nx", "rm -rf␠␠␊x"),
        ("ls ", "ls␠"),
        ("a\xa0b", "a<U+00A0>b"),
        ("e\u0301", "e<U+0301>"),
        ("⚠\ufe0f", "⚠<U+FE0F>"),
        ("a sign ␛ and <U+202E>", "a sign <U+241B> and <U+003C>U+202E>"),
        ("\udc1b", "<U+DC1B>"),
    ],
)
def test_a_hidden_character_becomes_a_sign_or_its_number(text: str, shown: str) -> None:
    assert reveal(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://ex\u0430mple.org/", "https://ex<U+0430>mple.org/"),
        ("curl ex\u0430mple.org", "curl ex<U+0430>mple.org"),
        ("example.com\u2215login", "example.com<U+2215>login"),
        ("notes\u2024txt", "notes<U+2024>txt"),
        ("p\u0430yp\u0430l", "p<U+0430>yp<U+0430>l"),
        ("run \u0455\u0455\u04bb now", "run <U+0455><U+0455><U+04BB> now"),
        ("\U0001d42bm -rf", "<U+1D42B>m -rf"),
    ],
)
def test_what_looks_like_ascii_is_marked_in_addresses_and_words(text: str, shown: str) -> None:
    assert reveal(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "\u041f\u0440\u0438\u0432\u0435\u0442, \u044f \u0438\u0434\u0443 \u0441 \u0442\u043e\u0431\u043e\u0439.",
        "\u0391\u03c5\u03c4\u03cc \u03b5\u03af\u03bd\u03b1\u03b9 \u03ad\u03bd\u03b1 \u03b8\u03ad\u03bc\u03b1.",
        "naïve café, Übergröße, kap\u0131, það",
        "日本語\u30ceートPC、\uff21\uff22\uff23",
        "it\u2019s \u201cfine\u201d \u2013 3\u00d74 … €5, x²",
        "مرحبا بالعالم",
        "नमस्ते",
        "👩🎉✅",
    ],
)
def test_text_of_any_language_is_unchanged(text: str) -> None:
    assert reveal(text) == text


@given(TEXT)
def test_nothing_that_looks_like_ascii_is_left_in_code(text: str) -> None:
    assert [each for each in reveal(text, is_code=True) if looks_like_ascii(each)] == []


def test_in_code_everything_that_looks_like_ascii_is_marked() -> None:
    assert reveal("\u0440\u0443 \uff0f\u2019", is_code=True) == "<U+0440><U+0443> <U+FF0F><U+2019>"


@settings(max_examples=60)
@given(TEXT | st.text(alphabet="ab \n\u202e", max_size=120), st.integers(min_value=12, max_value=60))
def test_no_row_break_hides_a_character(text: str, width: int) -> None:
    shown = reveal(text)
    whole = joined(exact_paragraph(shown, width, lead="  "), width, "  ")
    assert original(whole) == text
    rows = plain(exact_code(shown, width, "", "+")).split("\n")
    assert [row[:1] for row in rows] == ["+", *"…" * (len(rows) - 1)]
    assert original("".join(row[1:] for row in rows)) == text


@given(TEXT)
def test_hidden_characters_are_editable_as_json_escapes(text: str) -> None:
    shown = escape_hidden(json.dumps({"text": text}, ensure_ascii=False))
    assert json.loads(shown) == {"text": text}
    assert not set(shown) & set("\u200b\u202e\xad\x9b\x7f")


def test_marks_stand_out() -> None:
    assert [("", "  a"), ("class:mark", "<U+202E>"), ("", "b")] in exact_paragraph("a<U+202E>b", 40, lead="  ")


def test_a_long_hostile_text_is_fast() -> None:
    reveal("\x1b]" * 200_000 + " " * 200_000 + "x")
    exact_paragraph(reveal("a" * 20_000 + " " * 20_000 + "\u202e" * 5_000), 80)
