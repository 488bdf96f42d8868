"""`prompt-objects trust`: allow the code in an environment's `tools/*.py`, and its MCP servers, to run."""

import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from prompt_objects.cli.command import YES, command
from prompt_objects.cli.streams import confirm, print_out
from prompt_objects.cli.targets import environment_folder
from prompt_objects.utils.text import pluralize

if TYPE_CHECKING:
    from prompt_objects.tools.trust import Trust


class _TrustRequest(NamedTuple):
    lines: tuple[str, ...]
    question: str
    is_trusted: bool
    trust: Callable[[], None]


@command("trust", YES)
def trust(options: Namespace) -> int:
    """Allow the environment's tools/*.py and MCP servers to run as they are now.

    The exit code is 1 if you refuse.
    """
    from prompt_objects.environment.locate import require_environment
    from prompt_objects.tools.trust import Trust

    folder = require_environment(environment_folder(options))
    requests = list(_requests(folder, Trust.of_user()))
    if not requests:
        _print_line(f"Nothing to trust: {folder} has no tools/*.py and no MCP servers.")
    answers = [_review(request, yes=options.yes) for request in requests]
    return 0 if all(answers) else 1


def _review(request: _TrustRequest, *, yes: bool) -> bool:
    """Show what would run, ask the user, and return whether it is trusted now."""
    for line in request.lines:
        _print_line(line)
    if request.is_trusted:
        print_out("You trust this as it is.")
        return True
    if not yes and not confirm(request.question):
        print_out("Not trusted; nothing was changed.")
        return False
    request.trust()
    print_out("Trusted, until any of it changes.")
    return True


def _requests(folder: Path, trust: "Trust") -> Iterator[_TrustRequest]:
    from prompt_objects.config.environment import load_config
    from prompt_objects.mcp.trust import review
    from prompt_objects.tools.loader import read_tool_files
    from prompt_objects.tools.trust import digest_of

    files, faults = read_tool_files(folder)
    for fault in faults:
        _print_line(fault)
    if files:
        digest = digest_of(files)
        yield _TrustRequest(
            lines=tuple(f"{file}  {pluralize(len(content), 'byte')}" for file, content in files.items()),
            question="This code can do whatever you can do. Have you read it, and may it run?",
            is_trusted=trust.holds(folder, digest),
            trust=lambda: trust.add(folder, digest),
        )
    servers = load_config(folder, os.environ).mcp_servers
    if servers:
        reviewed = review(folder, servers)  # before it is shown, so that exactly what the user read is trusted
        yield _TrustRequest(
            lines=("MCP servers:", *(f"  {line}" for line in reviewed.lines)),
            question="Programs among them can do whatever you can do, and each receives its input. May they run?",
            is_trusted=reviewed.is_trusted(trust),
            trust=lambda: reviewed.accept(trust),
        )


def _print_line(text: str) -> None:
    from prompt_objects.ui.render.sanitize import clean_line

    print_out(clean_line(text))
