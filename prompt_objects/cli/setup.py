"""`prompt-objects init` and `prompt-objects schema`."""

from argparse import Namespace

from prompt_objects.cli.streams import put, put_as_json
from prompt_objects.definition import definition_schema
from prompt_objects.locate import named_folder
from prompt_objects.starter import make_environment

__all__ = ["init", "schema"]


def init(options: Namespace) -> None:
    """Make an environment from the starter objects."""
    folder = named_folder(options.folder)
    for file in make_environment(folder):
        put(f"wrote {file.relative_to(folder)}")
    put(f"\nChat with them: prompt-objects --env {folder}")


def schema(_options: Namespace) -> None:
    """Print the JSON Schema of a prompt object's file, for editors."""
    put_as_json(definition_schema())
