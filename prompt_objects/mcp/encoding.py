"""What can be written as JSON that every program reads, to servers and to models alike."""

import json
from typing import Any

__all__ = ["encoded"]

_DEEPEST = 100


def encoded(value: Any) -> bytes | None:
    """Write a value as JSON.

    None where that is impossible: for numbers that are none, for half of a surrogate pair, and for what is nested
    more than 100 levels deep, as readers give up at some depth.
    """
    if _is_deeper(value, _DEEPEST):
        return None
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return None


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    below = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in below)
