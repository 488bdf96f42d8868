r"""Escapes such as `\ud83d\ude00`, by which JSON writes one character in two halves, in YAML.

YAML refuses them. They are masked by escapes of the same length for characters that the text does not use, so that
all positions stay the same, and the masks are replaced after parsing.
"""

import re

from prompt_objects.utils.text import join_surrogates

_PAIR = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_FIRST, _COUNT = 0xD800, 0x800
_BLOCKS = (0xE000, 0xE800, 0xF000, *range(0x1000, _FIRST, _COUNT))  # those for private use first


class SurrogateMask:
    """Masks the pairs of escapes in a text; `text` is the masked text, the same if there is nothing to mask."""

    def __init__(self, text: str) -> None:
        used = {ord(character) // _COUNT for character in text if character >= chr(_COUNT)}
        used |= {int(found[1], 16) // _COUNT for found in _ESCAPE.finditer(text)}
        free = [block for block in _BLOCKS if block // _COUNT not in used]
        self._offset = free[0] - _FIRST if free else 0
        self.text = _PAIR.sub(self._mask, text)

    def _mask(self, pair: re.Match[str]) -> str:
        return "".join(f"\\u{int(half, 16) + self._offset:04x}" for half in pair.groups())

    def unmask(self, value: str, *, escaped: bool) -> str:
        r"""Return a scalar as it was meant; `escaped` if it is in double quotes, where `\u` is an escape."""
        if not escaped:  # the mask is part of the text, and so were the escapes
            return _ESCAPE.sub(self._unmask_escape, value)
        halves = "".join(chr(ord(each) - self._offset) if self._is_mask(ord(each)) else each for each in value)
        return join_surrogates(halves)

    def _unmask_escape(self, escape: re.Match[str]) -> str:
        code = int(escape[1], 16)
        return f"\\u{code - self._offset:04x}" if self._is_mask(code) else escape[0]

    def _is_mask(self, code: int) -> bool:
        return _FIRST <= code - self._offset < _FIRST + _COUNT
