"""Recognizing that the system has run out of file descriptors or memory, whatever failed because of it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from prompt_objects.errors import OutOfResources

_REASONS = {
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open in the whole system",
    errno.ENOMEM: "there is not enough memory",
}
HINT = "Close other programs, or raise the limit (ulimit -n for files), then try again."


def exhaustion(error: BaseException) -> str:
    """Return which resource was missing when an error, or one that caused it, occurred; empty if none was."""
    cause: BaseException | None = error
    seen = set[int]()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, MemoryError):
            return _REASONS[errno.ENOMEM]
        if isinstance(cause, OSError) and cause.errno in _REASONS:
            return _REASONS[cause.errno]
        cause = cause.__cause__ or cause.__context__
    return ""


def raise_if_exhausted(error: BaseException) -> None:
    """Raise `OutOfResources` if a resource was missing: what failed says nothing about the file that was opened."""
    if reason := exhaustion(error):
        raise OutOfResources(f"The system has run out of resources: {reason}.", hint=HINT) from error


@contextmanager
def named_exhaustion() -> Iterator[None]:
    """Raise `OutOfResources` in place of an error of the system that means it."""
    try:
        yield
    except (OSError, MemoryError) as error:
        raise_if_exhausted(error)
        raise
