"""What a file may hold when its last write was cut off: by a kill at any byte, by the power in any of its sectors."""

import random
from collections.abc import Iterator
from itertools import product

__all__ = ["SECTOR", "out_of_order", "prefixes", "sectors"]

SECTOR = 512


def _first_difference(before: bytes, after: bytes) -> int:
    pairs = zip(before, after, strict=False)
    return next((place for place, (old, new) in enumerate(pairs) if old != new), min(len(before), len(after)))


def prefixes(before: bytes, after: bytes) -> Iterator[bytes]:
    """Every prefix of the write over what was there."""
    for end in range(_first_difference(before, after), len(after) + 1):
        yield after[:end] + before[end:]


def sectors(before: bytes, after: bytes, choose: random.Random, most: int) -> Iterator[bytes]:
    """Every choice of sectors that reached the disk, the others as they were; a sample where these are over `most`.

    Where the file had not reached, there are zeros; it is as long as its last sector that came, or as it was to be.
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
    """What a power cut leaves where data and metadata reached the disk in another order than they were written."""
    yield after[: len(before)]  # the bytes, and not the length
    yield before + bytes(len(after) - len(before))  # the length, and none of the bytes
    yield bytes(len(after))  # the length, and the blocks not even as they were
    yield after[: len(before)] + bytes(len(after) - len(before))
    yield b""
