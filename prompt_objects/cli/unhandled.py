"""Errors that no code handles, and log messages of libraries: printed without keys and terminal sequences."""

import logging
import sys
import threading
from traceback import format_exception

from prompt_objects.cli.streams import print_err
from prompt_objects.utils.secrets import hide_secrets


class _CleanHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _print(self.format(record))


def print_cleanly() -> None:
    """Print in this way from now on, in the whole process."""
    logging.lastResort = _CleanHandler(logging.WARNING)
    threading.excepthook = lambda unhandled: _report(unhandled.exc_value)
    sys.unraisablehook = lambda unhandled: _report(unhandled.exc_value)


def _report(error: BaseException | None) -> None:
    if error is not None:
        _print("".join(format_exception(error)))


def _print(text: str) -> None:
    print_err(*hide_secrets(text).rstrip("\n").split("\n"))
