"""`prompt-objects trust`: let the code in an environment's `tools/*.py` run."""

from argparse import Namespace

from prompt_objects.cli.opening import meant_folder
from prompt_objects.cli.streams import confirm, put
from prompt_objects.locate import require_environment
from prompt_objects.tools.discovery import read_tool_files
from prompt_objects.trust import Trust, digest_of
from prompt_objects.ui.sanitize import clean_line
from prompt_objects.wording import count

__all__ = ["run"]


def run(options: Namespace) -> int:
    """Name the files, and trust them as they are now if the person says so; 1 where the person does not."""
    folder = require_environment(meant_folder(options))
    files, faults = read_tool_files(folder)
    trust, digest = Trust.of_user(), digest_of(files)
    for fault in faults:
        put(clean_line(fault))
    if not files:
        put(f"There is nothing to trust: {clean_line(str(folder))} has no tools/*.py.")
        return 0
    for file, content in files.items():
        put(f"{clean_line(str(file))}  {count(len(content), 'byte')}")
    if trust.holds(folder, digest):
        put("You trust them as they are.")
        return 0
    if not options.yes and not confirm("This code can do whatever you can do. Have you read it, and may it run?"):
        put("Nothing was changed.")
        return 1
    trust.add(folder, digest)
    put("Trusted, until one of them changes.")
    return 0
