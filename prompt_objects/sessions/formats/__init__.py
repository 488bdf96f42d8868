"""Formats that a session can be written in: one file each, whose `export` does it; a new file is a new format."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from prompt_objects.errors import UsageError
from prompt_objects.sessions.session import Session
from prompt_objects.utils.text import did_you_mean

__all__ = [
    "exporter",
    "formats",
]


@cache
def formats() -> tuple[str, ...]:
    """Return the names of the formats that there are."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


def exporter(name: str) -> Callable[[Session], str]:
    """Return what writes a session in the format of that name. Raises `UsageError` where there is none."""
    if name not in formats():
        hint = did_you_mean(name, formats()) or f"There are: {', '.join(formats())}."
        raise UsageError(f"There is no format {name!r}.", hint=hint)
    export: Callable[[Session], str] = import_module(f"{__name__}.{name}").export
    return export
