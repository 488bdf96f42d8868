"""`prompt-objects schema`: print the JSON Schema of definitions, for editors."""

from argparse import Namespace

from prompt_objects.cli.command import DEBUG, shell_command
from prompt_objects.cli.json_output import print_json


@shell_command("schema", common=(DEBUG,), examples=("schema > prompt-object.schema.json",))
def schema(_options: Namespace) -> None:
    """Print the JSON Schema of a prompt object's file."""
    from prompt_objects.config.definition import definition_schema

    print_json(definition_schema())
