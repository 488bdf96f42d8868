"""Asks the user whether to trust an environment, and stores the decision."""

import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from shutil import get_terminal_size

from prompt_objects.cli.streams import confirm, print_out
from prompt_objects.environment.grants import Grant
from prompt_objects.environment.trust import Decision, Trust
from prompt_objects.ui.render.reveal import exact_paragraph, reveal


def print_grants(folder: Path, decision: Decision, grants: Collection[Grant]) -> None:
    """Print what an environment would do, with the changes since the decision."""
    name = reveal(str(folder), is_code=True)
    if not grants:
        print_out(f"{name} brings nothing that needs your trust.")
        return
    print_out(f"{name} would do this, beyond the defaults:")
    for line in decision.changes(grants):
        for row in _rows(reveal(line, is_code=True)):
            print_out(row)


def _rows(text: str) -> Iterator[str]:
    """Wrap a revealed text at the width of the terminal; into a pipe or a file, it is one line."""
    lead = "  - "
    width = get_terminal_size().columns if sys.stdout.isatty() else len(text) + len(lead) + 1
    for line in exact_paragraph(text, width, lead=lead):
        yield "".join(fragment[1] for fragment in line)


def ask(folder: Path, decision: Decision, grants: Collection[Grant]) -> bool:
    """Show what an environment would do, ask, and store the answer; return whether the user trusts it.

    Raises `UsageError` if standard input is not a terminal, and `StoreError`.
    """
    print_grants(folder, decision, grants)
    is_trusted = confirm("Do you trust this environment? Without trust, none of this takes effect.")
    (Trust.of_user().accept if is_trusted else Trust.of_user().refuse)(folder, grants)
    return is_trusted
