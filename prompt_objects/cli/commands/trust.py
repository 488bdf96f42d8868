"""`prompt-objects trust`: let the code in an environment's `tools/*.py`, and its MCP servers, run."""

import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from prompt_objects.cli.streams import confirm, print_out
from prompt_objects.cli.targets import environment_folder
from prompt_objects.config.environment import load_config
from prompt_objects.environment.locate import require_environment
from prompt_objects.mcp.trust import review
from prompt_objects.tools.loader import read_tool_files
from prompt_objects.tools.trust import Trust, digest_of
from prompt_objects.ui.render.sanitize import clean_line
from prompt_objects.utils.text import pluralize

__all__ = [
    "run",
]


class _Matter(Struct, frozen=True, kw_only=True):
    """Something to be trusted: what the person reads of it, what the answer means, and how it is kept."""

    lines: tuple[str, ...]
    question: str
    is_trusted: bool
    trust: Callable[[], None]


def run(options: Namespace) -> int:
    """Name what would run, and trust it as it is now if the person says so; 1 where the person does not."""
    folder = require_environment(environment_folder(options))
    matters = list(_matters(folder, Trust.of_user()))
    if not matters:
        print_out(f"There is nothing to trust: {clean_line(str(folder))} has no tools/*.py and no MCP servers.")
    refused = [matter for matter in matters if not _is_settled(matter, yes=options.yes)]
    return 1 if refused else 0


def _is_settled(matter: _Matter, *, yes: bool) -> bool:
    for line in matter.lines:
        print_out(clean_line(line))
    if matter.is_trusted:
        print_out("You trust this as it is.")
        return True
    if not yes and not confirm(matter.question):
        print_out("Not trusted; nothing was changed.")
        return False
    matter.trust()
    print_out("Trusted, until anything of it changes.")
    return True


def _matters(folder: Path, trust: Trust) -> Iterator[_Matter]:
    files, faults = read_tool_files(folder)
    for fault in faults:
        print_out(clean_line(fault))
    if files:
        digest = digest_of(files)
        yield _Matter(
            lines=tuple(f"{file}  {pluralize(len(content), 'byte')}" for file, content in files.items()),
            question="This code can do whatever you can do. Have you read it, and may it run?",
            is_trusted=trust.holds(folder, digest),
            trust=lambda: trust.add(folder, digest),
        )
    servers = load_config(folder, os.environ).mcp_servers
    if servers:
        reviewed = review(folder, servers)  # before it is shown: what is trusted is what the person read
        yield _Matter(
            lines=("MCP servers:", *(f"  {line}" for line in reviewed.lines)),
            question="Programs among them can do whatever you can do, and each gets what it is given. May they run?",
            is_trusted=reviewed.is_trusted(trust),
            trust=lambda: reviewed.accept(trust),
        )
