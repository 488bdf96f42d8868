"""`prompt-objects init` and `prompt-objects schema`."""

import json
from argparse import Namespace
from pathlib import Path

from prompt_objects.definition import definition_schema
from prompt_objects.starter import make_environment

__all__ = ["init", "schema"]


def init(options: Namespace) -> None:
    """Make an environment from the starter objects."""
    folder = Path(options.folder).expanduser().absolute()
    for file in make_environment(folder):
        print(f"wrote {file.relative_to(folder)}")
    print(f"\nChat with them: prompt-objects --env {folder}")


def schema(_options: Namespace) -> None:
    """Print the JSON Schema of a prompt object's file, for editors."""
    print(json.dumps(definition_schema(), indent=2))
