"""The command line: `main` carries out what was typed and turns every error into words and an exit code.

Exit codes: 0 done, 1 an error, 2 wrong usage, 75 try again later (no network, rate limit), 130 interrupted.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

__all__ = ["main"]

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program with `arguments`, by default those of the process, and return its exit code."""
    from prompt_objects.cli.parser import parse

    options = parse(sys.argv[1:] if arguments is None else arguments)
    module, _, function = options.run.partition(":")
    try:
        run = getattr(import_module(f"prompt_objects.cli.{module}"), function)
        code: int = run(options) or 0
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python flushes again at exit; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # nothing but words and a code reaches the person
        if options.debug:
            raise
        return _tell(error)
    return code


def _tell(error: Exception) -> int:
    from prompt_objects.errors import PromptObjectsError
    from prompt_objects.ui.sanitize import clean_line

    if isinstance(error, PromptObjectsError):
        message, hint, code = str(error), error.hint, error.exit_code
    else:
        message = f"unexpected {type(error).__name__}: {error}"
        hint, code = "This is a defect of prompt-objects; --debug shows where.", 1
    print(f"error: {clean_line(message)}", file=sys.stderr)
    if hint:
        print(clean_line(hint), file=sys.stderr)
    return code
