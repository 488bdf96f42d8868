"""The command line: `main` carries out what was typed and turns every error into words and an exit code.

Exit codes: 0 done, 1 an error, 2 wrong usage, 75 try again later (no network, rate limit, a
session in use), 130 interrupted.
"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module

__all__ = [
    "main",
]

INTERRUPTED = 130
MOST_CANDIDATES = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program with `arguments`, by default those of the process, and return its exit code."""
    from prompt_objects.cli import streams
    from prompt_objects.cli.parser import parse

    streams.prepare()
    options = Namespace(debug=False)
    try:
        parse(sys.argv[1:] if arguments is None else arguments, options)
        code = _run(options)
        streams.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except streams.ReaderGone:
        return 0
    except Exception as error:  # nothing but words and a code reaches the person
        if options.debug:
            raise
        return _tell(error)
    finally:
        streams.close()
    return code


def _run(options: Namespace) -> int:
    module, _, function = options.run.partition(":")
    code: int | None = getattr(import_module(f"prompt_objects.cli.commands.{module}"), function)(options)
    return code or 0


def _tell(error: Exception) -> int:
    from prompt_objects.cli.streams import print_err
    from prompt_objects.errors import Ambiguous, PromptObjectsError

    if not isinstance(error, PromptObjectsError):
        print_err(f"error: unexpected {type(error).__name__}: {error}")
        print_err("This is a defect of prompt-objects; --debug shows where.")
        return 1
    print_err(f"error: {error}")
    if isinstance(error, Ambiguous):
        for candidate in error.candidates[:MOST_CANDIDATES]:
            print_err(f"  {candidate}")
        if len(error.candidates) > MOST_CANDIDATES:
            print_err(f"  and {len(error.candidates) - MOST_CANDIDATES} more")
    elif error.hint:
        print_err(error.hint)
    return error.exit_code
