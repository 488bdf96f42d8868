"""`prompt-objects init` and `prompt-objects schema`."""

from argparse import Namespace

from prompt_objects.cli.streams import print_out, put_as_json
from prompt_objects.config.definition import definition_schema
from prompt_objects.environment.locate import named_folder
from prompt_objects.environment.starter import make_environment

__all__ = [
    "init",
    "schema",
]


def init(options: Namespace) -> None:
    """Make an environment from the starter objects."""
    folder = named_folder(options.folder)
    for file in make_environment(folder):
        print_out(f"wrote {file.relative_to(folder)}")
    print_out(f"\nChat with them: prompt-objects --env {folder}")


def schema(_options: Namespace) -> None:
    """Print the JSON Schema of a prompt object's file, for editors."""
    put_as_json(definition_schema())
