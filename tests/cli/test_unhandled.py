"""Errors that no code handles, and log messages, are printed without keys and terminal sequences."""

import subprocess
import sys

import pytest

SECRET = "sk-" + "a1" * 20
TEXT = f"{SECRET} \x1b[2Jx"
PROGRAMS = {
    "a log message": "logging.getLogger('lib').warning(text)",
    "an error in a thread": "threading.Thread(target=fail).start()",
    "an error in a finalizer": "type('A', (), {'__del__': fail})()",
}
SETUP = f"""
import logging, threading
from prompt_objects.cli.unhandled import print_cleanly

text = {TEXT!r}


def fail(*_):
    raise OSError(text)


print_cleanly()
"""


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_it_is_printed_cleanly(program: str) -> None:
    code = SETUP + program
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "x" in done.stderr
    assert SECRET not in done.stderr
    assert "\x1b" not in done.stderr
