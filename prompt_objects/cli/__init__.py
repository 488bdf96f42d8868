"""The command line: `main` runs the command that was typed and turns every error into a message and an exit code.

Exit codes: 0 success, 1 error, 2 wrong usage, 75 temporary failure (no network, rate limit, a session in use),
130 interrupted.
"""

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence

INTERRUPTED = 130
MAX_CANDIDATES = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program with `arguments`, by default those of the process, and return its exit code."""
    from prompt_objects.cli import streams
    from prompt_objects.cli.parser import parse
    from prompt_objects.utils import waiting
    from prompt_objects.utils.resources import named_exhaustion

    streams.prepare()
    options = Namespace(debug=False)
    try:
        command = parse(sys.argv[1:] if arguments is None else arguments, options)
        with waiting.work(_report_wait), named_exhaustion():
            try:
                code = command.run(options) or 0
            finally:
                _print_notices(options)
        streams.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except streams.ReaderGone:
        return 0
    except Exception as error:  # noqa: BLE001 - the user gets a message and an exit code, not Python's traceback
        return _report(error, debug=options.debug)
    finally:
        streams.flush_all()
    return code


def _print_notices(options: Namespace) -> None:
    """Print what was repaired or set aside in the environment that the command opened, if it did."""
    from prompt_objects.cli.streams import print_err

    if environment := getattr(options, "environment", None):
        print_err(*environment.take_notices())


def _report_wait(text: str) -> None:
    from prompt_objects.cli.streams import print_err

    if text:
        print_err(f"{text} Ctrl-C gives up.")


def _report(error: Exception, *, debug: bool) -> int:
    """Print an error, with its traceback if wanted, but without keys and passwords; return the exit code."""
    from prompt_objects.cli.streams import print_err
    from prompt_objects.errors import PromptObjectsError
    from prompt_objects.utils.secrets import hide_secrets

    if debug:
        from traceback import format_exception

        print_err(*hide_secrets("".join(format_exception(error))).rstrip("\n").split("\n"))
    print_err(*hide_secrets("\n".join(_describe(error))).split("\n"))
    return error.exit_code if isinstance(error, PromptObjectsError) else 1


def _describe(error: Exception) -> Iterator[str]:
    from prompt_objects.errors import Ambiguous, PromptObjectsError

    if not isinstance(error, PromptObjectsError):
        yield f"error: unexpected {type(error).__name__}: {error}"
        yield "This is a bug in prompt-objects. Run it with --debug to see where."
        return
    yield f"error: {error}"
    if isinstance(error, Ambiguous):
        yield from (f"  {candidate}" for candidate in error.candidates[:MAX_CANDIDATES])
        if len(error.candidates) > MAX_CANDIDATES:
            yield f"  and {len(error.candidates) - MAX_CANDIDATES} more"
    elif error.hint:
        yield error.hint
