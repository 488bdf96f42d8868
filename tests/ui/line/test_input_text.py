"""The display of the input: wrapped at words, with folded pastes and visible characters."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text.utils import fragment_list_to_text
from prompt_toolkit.layout import BufferControl
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.utils import get_cwidth

from prompt_objects.ui.line.input_text import VisibleText, WordWrap, breaks, input_height
from prompt_objects.ui.line.pastes import Pastes

TEXTS = st.text(st.characters(categories=["L", "N", "So", "Zs"]), max_size=60)
WIDTHS = st.integers(2, 30)


def rows(line: str, width: int) -> list[str]:
    starts = [0, *(index for index, _ in breaks(line, width)), len(line)]
    return [line[begin:end] for begin, end in pairwise(starts)]


def transformed(processor: Processor, text: str, width: int = 80) -> Transformation:
    control = BufferControl(Buffer())
    source = TransformationInput(control, Document(text), 0, lambda position: position, [("", text)], width, 10)
    return processor.apply_transformation(source)


def test_a_row_ends_before_a_word_that_does_not_fit() -> None:
    assert rows("the quick brown fox jumps", 10) == ["the quick ", "brown fox ", "jumps"]
    assert rows("a verylongword b", 6) == ["a ", "verylo", "ngword", " b"]
    assert rows("日本 語語語", 6) == ["日本 ", "語語語"]


@given(TEXTS, WIDTHS)
def test_no_row_is_wider_than_the_screen_and_nothing_is_lost(line: str, width: int) -> None:
    assert "".join(rows(line, width)) == line
    assert all(get_cwidth(row) <= width for row in rows(line, width))
    for row, (_, free) in zip(rows(line, width), breaks(line, width), strict=False):
        assert free == width - get_cwidth(row)


@given(TEXTS, WIDTHS)
def test_the_cursor_is_on_the_same_character_in_a_wrapped_line(line: str, width: int) -> None:
    wrapped = transformed(WordWrap(lambda: 0), line, width)
    shown = fragment_list_to_text(wrapped.fragments)
    for position, character in enumerate(line):
        assert shown[wrapped.source_to_display(position)] == character
        assert wrapped.display_to_source(wrapped.source_to_display(position)) == position


def test_a_paste_is_displayed_by_its_number_of_lines_and_hidden_characters_are_visible() -> None:
    pastes = Pastes()
    text = "a" + pastes.fold("x\n" * 299 + "x") + "b\u202e"
    shown = transformed(VisibleText(pastes), text)
    assert fragment_list_to_text(shown.fragments).replace("\xa0", " ") == "a[300 lines pasted]b\ufffd"
    assert [shown.source_to_display(position) for position in range(4)] == [0, 1, 19, 20]
    assert [shown.display_to_source(position) for position in (0, 1, 18, 19, 20)] == [0, 1, 2, 2, 3]


def test_the_height_is_that_of_the_displayed_text() -> None:
    pastes = Pastes()
    assert input_height("the quick brown fox", 10, 12, pastes) == 2
    assert input_height("a" + pastes.fold("x\n" * 300) + "b", 30, 12, pastes) == 1
    assert input_height("one\ntwo\n", 10, 12, pastes) == 3
    assert input_height("x" * 10, 10, 12, pastes) == 2  # the cursor stands on the second row
    assert input_height("x\n" * 50, 10, 12, pastes) == 12


def test_only_long_pastes_are_folded_and_all_are_restored() -> None:
    pastes = Pastes()
    short, long, wide = "a\n" * 9, "b\n" * 300, "c" * 6000
    assert pastes.fold(short) == short
    folded = f"1{pastes.fold(long)}2{pastes.fold(wide)}3{pastes.fold(long)}"
    assert len(folded) == 6
    assert pastes.unfold(folded) == f"1{long}2{wide}3{long}"
    private = f"a{folded[1]}b"
    assert pastes.unfold(pastes.fold(private)) == private
