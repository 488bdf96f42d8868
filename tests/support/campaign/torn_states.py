"""Possible contents of a file after an interrupted write: killed at any byte, or a power failure in any sector."""

import random
from collections.abc import Iterator
from itertools import product

__all__ = ["SECTOR", "out_of_order", "prefixes", "sectors"]

SECTOR = 512


def _first_difference(before: bytes, after: bytes) -> int:
    pairs = zip(before, after, strict=False)
    return next((place for place, (old, new) in enumerate(pairs) if old != new), min(len(before), len(after)))


def prefixes(before: bytes, after: bytes) -> Iterator[bytes]:
    """Yield every prefix of the write over the old content."""
    for end in range(_first_difference(before, after), len(after) + 1):
        yield after[:end] + before[end:]


def sectors(before: bytes, after: bytes, choose: random.Random, most: int) -> Iterator[bytes]:
    """Yield every choice of sectors that reached the disk, the others unchanged; a sample if there are over `most`.

    The gaps beyond the old end are zeros; the file ends with its last written sector or at its new length.
    """
    first = _first_difference(before, after) // SECTOR
    count = -(-len(after) // SECTOR) - first
    everything = product((False, True), repeat=count)
    chosen = everything if 2**count <= most else _sample(count, most, choose)
    for came in chosen:
        yield from _with_sectors(before, after, first, came)


def _sample(count: int, most: int, choose: random.Random) -> Iterator[tuple[bool, ...]]:
    return (tuple(choose.random() < 0.5 for _ in range(count)) for _ in range(most))


def _with_sectors(before: bytes, after: bytes, first: int, came: tuple[bool, ...]) -> Iterator[bytes]:
    torn = bytearray(before.ljust(len(after), b"\0"))
    reached = len(before)
    for number, there in enumerate(came, first):
        if there:
            place = slice(number * SECTOR, (number + 1) * SECTOR)
            torn[place] = after[place]
            reached = max(reached, min((number + 1) * SECTOR, len(after)))
    yield bytes(torn[:reached])
    if reached < len(after):
        yield bytes(torn)


def out_of_order(before: bytes, after: bytes) -> Iterator[bytes]:
    """Yield the contents after a power failure if data and metadata reached the disk in another order."""
    yield after[: len(before)]  # the bytes, and not the length
    yield before + bytes(len(after) - len(before))  # the length, and none of the bytes
    yield bytes(len(after))  # the length, and not even the old blocks
    yield after[: len(before)] + bytes(len(after) - len(before))
    yield b""
