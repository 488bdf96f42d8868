"""Forks of this process."""

import os
import sys
import weakref
from collections.abc import Callable


def after_fork_in_child(method: Callable[[], None]) -> None:
    """Call a method first in every forked child, for as long as its object lives."""
    reference = weakref.WeakMethod(method)  # the registration cannot be removed; the object can

    def in_child() -> None:
        if alive := reference():
            alive()

    if sys.platform != "win32":
        os.register_at_fork(after_in_child=in_child)
