"""How the text of the input is displayed: hidden characters visible, pastes folded, lines wrapped at words."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.formatted_text.utils import fragment_list_to_text
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.layout.utils import explode_text_fragments
from prompt_toolkit.utils import get_cwidth

from prompt_objects.ui.line.pastes import Pastes
from prompt_objects.ui.render.sanitize import visible


def displayed(line: str, pastes: Pastes) -> str:
    """Return a line of the input as it is displayed, before it is wrapped."""
    return "".join(pastes.label(character) or character for character in visible(line))


@lru_cache(1024)
def breaks(line: str, width: int) -> tuple[tuple[int, int], ...]:
    """Return the beginnings of the further rows of a line: the index, and the free cells of the row before.

    A row is broken before a word that does not fit; only a word that is longer than a row is broken itself.
    """
    found: list[tuple[int, int]] = []
    row = word = used = before_word = 0
    for index, character in enumerate(line):
        cells = get_cwidth(character)
        if used + cells > width and character != " " and word > row:
            found.append((word, width - before_word))
            row, used = word, used - before_word
        if used + cells > width:
            found.append((index, width - used))
            row = word = index
            used = 0
        used += cells
        if character == " ":
            word, before_word = index + 1, used
    return tuple(found)


def input_height(text: str, width: int, most: int, pastes: Pastes) -> int:
    """Return the rows of a text of the input, at most `most`."""
    height = 0
    for line in text.split("\n", most)[:most]:
        height += len(breaks(displayed(f"{line[: width * most]} ", pastes), width)) + 1
    return min(height, most)


class VisibleText(Processor):
    """Makes hidden and reordering characters visible, and displays pastes by their labels; the text is unchanged."""

    def __init__(self, pastes: Pastes) -> None:
        self._pastes = pastes

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        shown: StyleAndTextTuples = []
        grown: list[tuple[int, int]] = []
        for index, (style, character, *_) in enumerate(explode_text_fragments(transformation_input.fragments)):
            label = self._pastes.label(character)
            shown.append(("class:paste", label) if label else (style, visible(character)))
            if label:
                grown.append((index + 1, len(label) - 1))
        return _transformed(shown, grown)


class WordWrap(Processor):
    """Fills rows with spaces so that the next word begins on the next row; `prompt_width` is the indent of rows."""

    def __init__(self, prompt_width: Callable[[], int]) -> None:
        self._prompt_width = prompt_width

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        fragments = explode_text_fragments(transformation_input.fragments)
        width = max(transformation_input.width - self._prompt_width(), 2)
        grown = [each for each in breaks(f"{fragment_list_to_text(fragments)} ", width) if each[1]]
        shown: StyleAndTextTuples = []
        start = 0
        for index, free in grown:
            shown += [*fragments[start:index], ("", " " * free)]
            start = index
        return _transformed([*shown, *fragments[start:]], grown)


def _transformed(fragments: StyleAndTextTuples, grown: Sequence[tuple[int, int]]) -> Transformation:
    """Return a transformation that inserted characters before some indexes of the source."""
    totals = list(accumulate((amount for _, amount in grown), initial=0))

    def source_to_display(position: int) -> int:
        return position + totals[sum(index <= position for index, _ in grown)]

    def display_to_source(position: int) -> int:
        source = position
        for (index, amount), before in zip(grown, totals, strict=False):
            source -= max(0, min(amount, position - index - before))
        return source

    return Transformation(fragments, source_to_display, display_to_source)
