"""Long pastes in the input, each folded to one character there, which is displayed as its number of lines."""

from prompt_objects.utils.text import pluralize

MAX_LINES = 10
MAX_CHARACTERS = 5000
"""A longer paste is folded."""
_NO_BREAK = "\N{NO-BREAK SPACE}"
_FIRST = 0x100000
"""The first of 65,534 characters for private use, in a block that no font uses."""


class Pastes:
    """The folded pastes of one input, by the characters that stand for them."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def fold(self, text: str) -> str:
        """Return the character that stands for a text, or the text itself if it is short.

        A text that contains such a character itself is folded, too, so that all of them in the input are ours.
        """
        if text.count("\n") < MAX_LINES and len(text) <= MAX_CHARACTERS and max(text, default="") < chr(_FIRST):
            return text
        mark = chr(_FIRST + len(self._texts))
        self._texts[mark] = text
        return mark

    def unfold(self, text: str) -> str:
        """Return a text with the pastes in place of their characters."""
        return "".join(self._texts.get(character, character) for character in text) if self._texts else text

    def label(self, character: str) -> str:
        """Return what is displayed for a character; empty if it is no paste."""
        text = self._texts.get(character)
        return "" if text is None else f"[{pluralize(len(text.splitlines()), 'line')} pasted]".replace(" ", _NO_BREAK)
