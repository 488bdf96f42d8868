"""`prompt-objects help`: the help of the program or of a command, as `--help` prints it."""

from argparse import Namespace

from prompt_objects.cli.command import DEBUG, argument, shell_command


@shell_command(
    "help",
    argument("words", nargs="*", metavar="COMMAND", help="a command or a group; by default the program"),
    common=(DEBUG,),
    examples=("help sessions list",),
)
def help_(options: Namespace) -> None:
    """Show the help of the program or of a command."""
    from prompt_objects.cli.parser import parse

    parse([*options.words, "--help"], Namespace())
