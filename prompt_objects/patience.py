"""Whether work may wait for what is gone to come back: saving may, looking around may not."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["is_patient", "without_patience"]

_PATIENT = ContextVar("patient", default=True)


def is_patient() -> bool:
    """Say whether the work that is under way may wait."""
    return _PATIENT.get()


@contextmanager
def without_patience() -> Iterator[None]:
    """Have what is done in a `with` block fail at once where it would have to wait."""
    token = _PATIENT.set(False)
    try:
        yield
    finally:
        _PATIENT.reset(token)
