"""Make text safe to display: it cannot move the cursor or look like something else.

This is for display only; stored text is unchanged.
"""

import re
from functools import cache

# Whole sequences are removed; the rest of broken ones is made visible below.
_SEQUENCES = re.compile(
    r"\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)"  # OSC: titles, links, the clipboard
    r"|\x1b[P_^X][^\x1b\n]*\x1b\\"  # DCS and the like
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colors, the cursor
    r"|\x1b[ -/]+[0-~]"  # character sets
)
_NEWLINES = re.compile("\r\n?|[\u2028\u2029]")
_SUSPECT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0e\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
# Joiners belong between letters of some scripts and between emoji; elsewhere they only hide.
_LONE_JOINERS = re.compile("(?<![^\x00-\x7f\u200c\u200d])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f\u200c\u200d])")
_REPLACEMENT = "\ufffd"


def clean(text: str) -> str:
    """Return the text without anything that could control the terminal or mislead the reader.

    Line breaks stay, tabs become spaces. Control characters become pictures such as ␛; characters that reorder or
    hide text become � or are removed.
    """
    text = text.expandtabs(4)
    if not _SUSPECT.search(text) and not _NEWLINES.search(text):
        return text
    text = _NEWLINES.sub("\n", _SEQUENCES.sub("", text)).translate(_replacements())
    return _LONE_JOINERS.sub("", text)


def clean_line(text: str) -> str:
    """Return the cleaned text on one line."""
    return clean(text).replace("\n", " ")


def visible(line: str) -> str:
    """Return a line with every hidden character replaced by a visible one; its length is unchanged."""
    if not _SUSPECT.search(line) and not _NEWLINES.search(line):
        return line
    return _LONE_JOINERS.sub(_REPLACEMENT, line.translate(_signs()))


@cache
def _replacements() -> dict[int, str]:
    invisible = [0xAD, 0x34F, *range(0x180B, 0x1810), 0x200B, 0x200E, 0x200F, 0x61C, 0xFEFF]
    invisible += [*range(0x2060, 0x2066), *range(0x206A, 0x2070), *range(0xFE00, 0xFE0F), *range(0xFFF9, 0xFFFC)]
    invisible += range(0xE0000, 0xE1000)
    reordering = [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    return {
        **{code: chr(0x2400 + code) for code in range(0x20) if code != ord("\n")},
        0x7F: "\u2421",
        **dict.fromkeys([*range(0x80, 0xA0), *reordering, *range(0xD800, 0xE000)], _REPLACEMENT),
        **dict.fromkeys(invisible, ""),
    }


@cache
def _signs() -> dict[int, str]:
    """Return the replacements for text that is being edited, in which nothing is removed."""
    signs = {code: sign or _REPLACEMENT for code, sign in _replacements().items() if code != ord("\t")}
    return signs | dict.fromkeys((0x2028, 0x2029), _REPLACEMENT)
