"""Cut a streaming reply into finished Markdown blocks and an unfinished rest."""

import re
from itertools import pairwise

__all__ = ["BlockStream"]

_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)")
_BLANK = re.compile(r"^[ \t\r]*\n", re.MULTILINE)
_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_LONG = 2000
_GROWTH = 1.25


class BlockStream:
    """Takes a text in pieces and returns its blocks; all returned blocks and `rest` together are the text.

    A block is finished when a later line begins another block, since nothing can change it then. A long block is
    parsed again only after it has grown by a quarter, so that the work stays proportional to the text.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0
        self._parse_at = 0.0

    @property
    def rest(self) -> str:
        """The unfinished text."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def feed(self, text: str) -> list[str]:
        """Add text, and return the blocks that it finishes."""
        self._pieces.append(text)
        self._size += len(text)
        if "\n" not in text or self._size < self._parse_at:
            return []
        blocks = _finished_blocks(self.rest)
        self._keep(self.rest[sum(map(len, blocks)) :])
        self._parse_at = 0.0 if blocks or self._size < _LONG else self._size * _GROWTH
        return blocks

    def finish(self) -> list[str]:
        """Return the rest as blocks, and begin a new text."""
        blocks = _finished_blocks(self.rest)
        last = self.rest[sum(map(len, blocks)) :]
        self._keep("")
        self._parse_at = 0.0
        return [*blocks, last] if last else blocks

    def _keep(self, rest: str) -> None:
        self._pieces, self._size = [rest], len(rest)


def _finished_blocks(text: str) -> list[str]:
    """Return all blocks of the complete lines but the last block, parsing as little as possible."""
    from prompt_objects.ui.render.markdown import MAX_BLOCK

    whole = text[: text.rfind("\n") + 1]
    blocks: list[str] = []
    begin = 0
    while True:
        window = whole[begin : whole.rfind("\n", begin, begin + MAX_BLOCK) + 1]
        found = _all_but_last(window)
        if not found and len(whole) - begin > MAX_BLOCK:
            found = _large_block(whole, begin, MAX_BLOCK)
        if not found:
            return blocks
        blocks += found
        begin += sum(map(len, found))


def _all_but_last(whole: str) -> list[str]:
    from prompt_objects.ui.render.markdown import block_starts

    starts = block_starts(whole)
    if len(starts) < 2:  # noqa: PLR2004 - a single block is unfinished
        return []
    offsets = [0, *(line.end() for line in _LINES.finditer(whole))]
    cuts = [0, *(offsets[line] for line in starts[1:])]
    return [whole[begin:end] for begin, end in pairwise(cuts)]


def _large_block(whole: str, begin: int, size: int) -> list[str]:
    """Return the block of more than `size` characters from `begin`, if it has an end.

    It is not parsed, since it is shown as plain text: code ends with its fence, other text at the next blank line.
    """
    if fence := _FENCE.match(whole, begin):
        closing = re.compile(rf"^ {{0,3}}{fence[1]}{fence[1][0]}*[ \t\r]*\n", re.MULTILINE)
        end = closing.search(whole, fence.end())
    else:
        end = _BLANK.search(whole, begin + size)
    return [whole[begin : end.end()]] if end else []
