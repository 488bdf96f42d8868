"""`prompt-objects trust`: allow the code in an environment's `tools/*.py`, and its MCP servers, to run."""

import os
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path

from prompt_objects.cli.command import YES, shell_command
from prompt_objects.cli.json_output import print_lines
from prompt_objects.cli.streams import confirm, print_out
from prompt_objects.cli.targets import environment_folder
from prompt_objects.utils.text import pluralize


@shell_command("trust", YES)
def trust(options: Namespace) -> int:
    """Allow the environment's tools/*.py and MCP servers to run as they are now.

    The exit code is 1 if you refuse.
    """
    from prompt_objects.config.environment import load_config
    from prompt_objects.environment.locate import require_environment
    from prompt_objects.mcp.trust import review
    from prompt_objects.tools.loader import read_tool_files
    from prompt_objects.tools.trust import digest_of

    folder = require_environment(environment_folder(options))
    files, notices = read_tool_files(folder)
    print_lines(notices)
    servers = load_config(folder, os.environ).mcp_servers
    reviewed = review(folder, servers) if servers else None  # first, so that exactly what the user reads is trusted
    answers = []
    if files:
        lines = [f"{file}  {pluralize(len(content), 'byte')}" for file, content in files.items()]
        question = "Read this code first: it runs with all your permissions. Allow it to run?"
        answers.append(_review(lines, question, folder, digest_of(files), yes=options.yes))
    if reviewed:
        lines = ["MCP servers:", *(f"  {line}" for line in reviewed.lines)]
        question = "Programs run with all your permissions; each server receives what is sent to it. Allow them?"
        answers.append(_review(lines, question, reviewed.file, reviewed.digest, yes=options.yes))
    if not answers:
        print_lines([f"Nothing to trust: {folder} has no tools/*.py and no MCP servers."])
    return 0 if all(answers) else 1


def _review(lines: Iterable[str], question: str, path: Path, digest: str, *, yes: bool) -> bool:
    from prompt_objects.tools.trust import Trust

    print_lines(lines)
    trusted = Trust.of_user()
    if trusted.holds(path, digest):
        print_out("Already trusted.")
        return True
    if not yes and not confirm(question):
        print_out("Not trusted; nothing was changed.")
        return False
    trusted.add(path, digest)
    print_out("Trusted until one of them changes.")
    return True
