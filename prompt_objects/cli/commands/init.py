"""`prompt-objects init`: create an environment."""

from argparse import Namespace

from prompt_objects.cli.command import DEBUG, argument, shell_command
from prompt_objects.cli.json_output import print_lines


@shell_command(
    "init",
    argument("folder", nargs="?", default=".", metavar="DIR", help="its folder; by default the current one"),
    common=(DEBUG,),
    examples=("init team",),
)
def init(options: Namespace) -> None:
    """Create an environment with the starter objects."""
    from prompt_objects.environment.locate import named_folder
    from prompt_objects.environment.starter import make_environment

    folder = named_folder(options.folder)
    print_lines(f"wrote {file.relative_to(folder)}" for file in make_environment(folder))
    print_lines(["", f"Chat with them: prompt-objects --env {folder}"])
