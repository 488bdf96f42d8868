"""Request frames: the parts of requests that rarely change, kept once each under the SHA-256 of their content."""

import re
from datetime import timedelta
from hashlib import sha256
from typing import Protocol

from prompt_objects.errors import Damaged, NotFound

UNUSED = timedelta(hours=1)
"""A frame that nothing refers to can be removed when it is unused for so long: it is kept just before its answer."""
RENEW = UNUSED / 2
"""The time of the last use is renewed if it is older than this."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Frames(Protocol):
    """The request frames of a store: JSON documents, encoded. Safe for threads and processes like the store.

    Methods raise `StoreError` if the disk or the server refuses.
    """

    def keep(self, frame: bytes) -> str:
        """Keep a frame and return its digest; it is durable when this returns. A known frame is not written again."""

    def get(self, digest: str) -> bytes:
        """Return a frame. Raises `NotFound`, and `Damaged` if its content does not have this digest."""

    def remove(self, digest: str, *, unused_for: timedelta) -> bool:
        """Remove a frame, unless it was kept again in this time; return whether it was removed."""

    def list(self) -> dict[str, timedelta]:
        """Return the time since the last use of each frame, at most `RENEW` too long, by digest."""


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of content, in hexadecimal."""
    return sha256(content).hexdigest()


def is_digest(text: str) -> bool:
    """Return whether a text is a SHA-256, in lower-case hexadecimal."""
    return _DIGEST.fullmatch(text) is not None


def checked_frame(digest: str, frame: bytes | None) -> bytes:
    """Return the frame that was found under a digest. Raises `NotFound` and `Damaged`."""
    if frame is None:
        raise NotFound(f"The request frame {digest:.12} is missing.", hint="A backup may have it.")
    if digest_of(frame) != digest:
        raise unreadable_frame(digest)
    return frame


def unreadable_frame(digest: str) -> Damaged:
    """Return the error for a frame that is there, but cannot be read."""
    return Damaged(
        f"The request frame {digest:.12} is damaged.",
        hint="It is written again by the next request with the same prompt, tools and model.",
    )
