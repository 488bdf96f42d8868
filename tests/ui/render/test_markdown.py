import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import get_cwidth

from prompt_objects.ui.render.markdown import last_lines, render
from prompt_objects.ui.render.style import STYLES, plain
from prompt_objects.ui.render.text import cell_width

PIECES = st.sampled_from(
    [
        "# ",
        "- ",
        "1. ",
        "> ",
        "```",
        "`",
        "**",
        "_",
        "~~",
        "[a](",
        "[](",
        "[",
        "](",
        "- [ ] ",
        "|-|-|\n",
        "&amp;",
        "\ud800",
        ")",
        "![b](",
        "http://x",
        "&#27;",
        "&#x9b;",
        "%1b",
        "&#8238;",
        "|",
        "\n",
        "\n\n",
        "---",
        "word ",
        "<b>",
        "<http://y>",
        "\x1b[2J",
        "    ",
        '"title"',
        "\t",
        "\\",
        "漢字",
        "é",
    ]
)
ANYTHING = st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=100)


def shown(text: str, width: int = 60) -> str:
    return plain(render(text, width))


@given(ANYTHING, st.integers(8, 50))
def test_any_text_can_be_drawn_and_is_cleaned(text: str, width: int) -> None:
    for line in render(text, width):
        for style, piece in line:
            assert all(unicodedata.category(char) not in {"Cc", "Cs"} for char in piece)
            assert "\u202e" not in piece
            assert "ZeroWidthEscape" not in style


@given(st.lists(st.sampled_from(["word ", "longer words here ", "漢字", "- ", "\n", "> ", "`code` "]), max_size=40))
def test_lines_are_no_wider_than_the_screen(pieces: list[str]) -> None:
    for line in render("".join(pieces), 30):
        assert sum(get_cwidth(piece) for _, piece in line) <= 30


@pytest.mark.parametrize(
    "text",
    [
        "[click](http://x/%1b]0;owned%07)",
        '[click](http://x "a\x1b]0;owned\x07 title")',
        "[click](<http://x/&#27;]0;owned&#7;>)",
        "![pic](http://x/&#27;[2J)",
        "&#27;[2J &#x9b;2J &#7; &#13;gone",
        "`\x1b[2J`",
        "```\x1b[2J\n\x1b]0;owned\x07\n```",
        "    \x1b[2J",
        "| &#27;[2J | b |\n|---|---|\n| \x1b[2J | [x](&#27;c) |",
        "<a href='\x1b[2J'>\x1b[2J</a>",
        "# \x1b[2J &#27;c",
        "- &#x202e;reversed",
    ],
)
def test_no_escape_sequence_gets_through(text: str) -> None:
    drawn = "".join(piece for line in render(text, 40) for _, piece in line)
    assert [char for char in drawn if unicodedata.category(char) in {"Cc", "Cf"}] == []


def test_links_and_images_show_their_address() -> None:
    assert shown("See [the *page*](http://a.b/c).") == "See the page (http://a.b/c)."
    assert shown("![cat](cat.png)") == "cat (cat.png)"
    assert shown("<http://a.b>") == "http://a.b"
    assert shown("[http://a.b](http://a.b)") == "http://a.b"
    assert shown("[![badge](b.svg)](http://a.b)") == "badge (b.svg) (http://a.b)"


def test_no_text_is_hidden() -> None:
    assert shown("a Vec<String> b") == "a Vec<String> b"
    assert shown("<div>\nhello\n</div>") == "<div> hello </div>"
    assert "http://b" in shown("[a]: http://b")


def test_prose_is_at_most_100_columns_wide() -> None:
    for text in ("word " * 100, "- " + "word " * 100, "> " + "word " * 100):
        assert 90 < max(len(row) for row in plain(render(text, 200)).splitlines()) <= 100


@pytest.mark.parametrize("size", [1, 2000], ids=["short", "too long for Markdown"])
def test_code_is_neither_indented_nor_wrapped(size: int) -> None:
    code = "def f(x):\n\n    return x  # " + "long " * 40 + "end\n" + "x = 12345\n" * size
    drawn = plain(render(f"```python\n{code}```\n", 40))
    assert code.rstrip() in drawn


@pytest.mark.parametrize("width", [8, 21, 40])
def test_beside_a_bar_code_is_wrapped(width: int) -> None:
    code = 'def f(x): return "日本語" + x  # ' + "long " * 40 + "end\nx = 12345"
    rows = plain(render(f"```python\n{code}\n```\n", width, wrap_code=True)).splitlines()
    assert all(cell_width(row) <= width for row in rows)
    assert "".join(rows).replace(" ", "") == code.replace("\n", "").replace(" ", "")


def test_lines_have_no_trailing_spaces() -> None:
    drawn = render("# Title\n\ntext\n\n```python\nx = 1\n```", 60)
    assert plain(drawn) == "Title\n\ntext\n\nx = 1"
    assert all(line[-1][1] == line[-1][1].rstrip() for line in drawn if line)


def test_styles_are_translated_for_prompt_toolkit() -> None:
    styles = {
        piece.strip(): style
        for line in render("**bold** `code`\n\n```python\nif x: pass\n```", 60)
        for style, piece in line
    }
    assert styles["bold"] == "bold"
    assert "ansi" in styles["code"]
    for style in styles.values():
        Style.from_dict(dict(STYLES)).get_attrs_for_style_str(style)


def test_the_last_lines_of_a_code_block_keep_its_fence() -> None:
    fence = "```python\n" + "\n".join(f"x = {n}" for n in range(100))
    assert last_lines(fence, 3) == "```python\nx = 97\nx = 98\nx = 99"
    assert last_lines("a\nb\nc", 2) == "b\nc"
    assert last_lines("a\nb", 2) == "a\nb"


def test_a_link_without_text_shows_its_address() -> None:
    assert shown("[](http://x)") == "(http://x)"
    assert shown("[![](b.svg)](http://x)") == "(b.svg) (http://x)"


@pytest.mark.parametrize(
    "text",
    ["```python\n" + "x = 1\n" * 60_000, "word " * 240_000, "- item **x**\n" * 20_000],
    ids=["code", "line", "list"],
)
def test_a_large_text_is_drawn_as_plain_text_and_fast(text: str) -> None:
    start = time.perf_counter()
    lines = render(text, 80)
    assert time.perf_counter() - start < 5
    assert "".join(plain(lines).split()) == "".join(text.split())
