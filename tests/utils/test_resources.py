"""A missing resource is recognized, whatever failed because of it."""

import errno

import pytest

from prompt_objects.errors import OutOfResources, StoreError
from prompt_objects.utils.resources import exhaustion, named_exhaustion, raise_if_exhausted


def chained(cause: BaseException) -> BaseException:
    error = StoreError("It failed.")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EMFILE, "x"), "too many files are open"),
        (chained(OSError(errno.ENOMEM, "x")), "there is not enough memory"),
        (chained(MemoryError()), "there is not enough memory"),
        (OSError(errno.ENOENT, "x"), ""),
        (KeyError("x"), ""),
    ],
)
def test_the_missing_resource_is_found(error: BaseException, reason: str) -> None:
    assert exhaustion(error) == reason


def test_only_a_missing_resource_is_raised_as_one() -> None:
    raise_if_exhausted(FileNotFoundError(errno.ENOENT, "x"))
    with pytest.raises(OutOfResources, match="not enough memory"), named_exhaustion():
        raise MemoryError
    with pytest.raises(FileNotFoundError), named_exhaustion():
        raise FileNotFoundError(errno.ENOENT, "x")
