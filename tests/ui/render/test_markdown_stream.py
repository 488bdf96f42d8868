import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_objects.ui.render.markdown import BlockStream

LINES = st.sampled_from(
    [
        "# Title",
        "words",
        "",
        "",
        "- item",
        "  more",
        "1. one",
        "```python",
        "```",
        "~~~",
        "| a | b |",
        "|---|---|",
        "> q",
        "    code",
        "---",
        "===",
        "<div>",
        "[a]: http://b",
        "a\rb",
        "x\r",
    ]
)
MARKDOWN = st.lists(LINES, max_size=25).map("\n".join) | st.text(max_size=80)


def streamed(text: str, size: int) -> tuple[list[str], BlockStream]:
    stream = BlockStream()
    blocks = [block for at in range(0, len(text), size) for block in stream.feed(text[at : at + size])]
    return blocks, stream


@given(MARKDOWN, st.integers(1, 9))
def test_the_blocks_and_the_rest_are_the_text(text: str, size: int) -> None:
    blocks, stream = streamed(text, size)
    assert "".join(blocks) + stream.rest == text
    assert "".join(blocks + stream.finish()) == text
    assert stream.rest == ""


@given(MARKDOWN, st.integers(1, 9))
def test_the_blocks_do_not_depend_on_how_the_text_is_split(text: str, size: int) -> None:
    blocks, stream = streamed(text, size)
    whole = BlockStream()
    assert blocks + stream.finish() == whole.feed(text) + whole.finish()


@pytest.mark.parametrize(
    "text",
    [
        "```python\none\n\ntwo\n\n# three\n",
        "- one\n\n- two\n\n  more\n\n",
        "| a | b |\n|---|---|\n| 1 | 2 |\n",
        "> one\n> two\n",
        "words\nwords\n\n2",
    ],
)
def test_a_block_that_may_continue_is_not_returned(text: str) -> None:
    blocks, stream = streamed(text, 3)
    assert blocks == []
    assert stream.rest == text


def test_a_block_is_returned_when_the_next_one_begins() -> None:
    stream = BlockStream()
    assert stream.feed("# Title\n\nSome words.\n") == ["# Title\n\n"]
    assert stream.feed("\n- a") == []
    assert stream.feed("\n") == ["Some words.\n\n"]
    assert stream.finish() == ["- a\n"]


@pytest.mark.parametrize("line", ["    x = value + {}  # and so on\n", "- item {}\n", "| {} | b |\n"])
def test_a_block_of_ten_thousand_lines_is_fast(line: str) -> None:
    opening = {" ": "```python\n", "|": "| a | b |\n|---|---|\n"}.get(line[0], "")
    stream = BlockStream()
    start = time.thread_time()
    stream.feed(opening)
    for number in range(10_000):
        assert stream.feed(line.format(number)) == []
    assert time.thread_time() - start < 10
    assert stream.rest.count("\n") == 10_000 + opening.count("\n")


@pytest.mark.parametrize(
    ("opening", "line", "closing"),
    [("```python\n", "x = 1\n", "```\n"), ("", "- item **x**\n", "\n"), ("~~~~\n", "\n# no title\n", "~~~~\n")],
    ids=["code", "list", "blank lines in code"],
)
def test_a_large_block_is_fast_and_ends_correctly(opening: str, line: str, closing: str) -> None:
    large = opening + line * 60_000 + closing
    stream = BlockStream()
    start = time.thread_time()
    blocks = stream.feed("Before.\n\n" + large + "# After\n\nwords\n")
    assert time.thread_time() - start < 5
    assert blocks == ["Before.\n\n", large, "# After\n\n"]
    assert stream.rest == "words\n"


@given(MARKDOWN, st.sampled_from(["", "```\n", "- "]))
@settings(max_examples=20, deadline=None)
def test_a_large_text_is_complete(text: str, opening: str) -> None:
    large = opening + text * (50_000 // (len(text) + 1))
    stream = BlockStream()
    assert "".join(stream.feed(large) + stream.finish()) == large
