"""What a file may hold after the power failed in the midst of its last write."""

from collections.abc import Iterator
from itertools import combinations

__all__ = ["sector_states", "torn_states"]

_SECTOR = 512


def torn_states(before: bytes, after: bytes) -> Iterator[bytes]:
    """Yield every state in which the first so many bytes of the write had come through.

    `before` and `after` are the whole file; what they have in common at their beginning was not written anew.
    """
    start = _common(before, after)
    for end in range(start, len(after) + 1):
        yield after[:end] + before[end:]
        yield after[:end]  # its length was to be the new one, and is not


def sector_states(before: bytes, after: bytes) -> Iterator[bytes]:
    """Yield every state in which some of the sectors of the write had come through, in whatever order.

    The length is the old one or the new one; where no sector came of what is beyond the old one there are zeros.
    """
    start = _common(before, after) // _SECTOR
    sectors = range(start, -(-len(after) // _SECTOR))
    for number in range(len(sectors) + 1):
        for come in combinations(sectors, number):
            state = bytearray(before.ljust(len(after), b"\0"))
            for sector in come:
                place = slice(sector * _SECTOR, (sector + 1) * _SECTOR)
                state[place] = after[place]
            yield bytes(state)
            yield bytes(state[: len(before)])


def _common(before: bytes, after: bytes) -> int:
    pairs = enumerate(zip(before, after, strict=False))
    return next((place for place, (old, new) in pairs if old != new), min(len(before), len(after)))
