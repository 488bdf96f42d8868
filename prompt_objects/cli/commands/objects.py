"""`prompt-objects objects …`: list and show the prompt objects of an environment."""

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from prompt_objects.cli.command import argument, shell_command
from prompt_objects.cli.json_output import as_json, format_table, print_json, print_result
from prompt_objects.cli.streams import print_err, print_out
from prompt_objects.cli.targets import open_environment

if TYPE_CHECKING:
    from prompt_objects.environment.prompt_object import PromptObject


class ObjectJson(Struct):
    """A prompt object."""

    name: str
    description: Annotated[str | None, Meta(description="may be empty; null if the definition is invalid")]
    model: Annotated[str | None, Meta(description="the model it asks for; null for the environment's default")]
    capabilities: Annotated[tuple[str, ...] | None, Meta(description="names; null if the definition is invalid")]
    file: Annotated[Path, Meta(description="the path of its definition")]
    fault: Annotated[str | None, Meta(description="the error in its definition")]


class ObjectWithPromptJson(ObjectJson):
    """A prompt object with its prompt."""

    prompt: str


@shell_command("objects list", output=list[ObjectJson])
def list_(options: Namespace) -> int:
    """List the prompt objects.

    The exit code is 1 if a definition is invalid.
    """
    with open_environment(options, reading=True) as environment:
        objects = environment.objects
        _, duplicates = environment.catalog.files()
        print_result(options, map(_as_json, objects.values()), format_table(map(_row, objects.values())))
        print_err(*(f"invalid: {error}" for error in duplicates))
        print_err(*environment.config.notices, *environment.catalog.notices())
        return 1 if duplicates or any(po.definition_error for po in objects.values()) else 0


@shell_command("objects show", argument("name", metavar="NAME", help="a prompt object"), output=ObjectWithPromptJson)
def show(options: Namespace) -> None:
    """Print a prompt object's definition."""
    from prompt_objects.ui.render.sanitize import clean

    with open_environment(options, reading=True) as environment:
        po = environment[options.name]
        definition = po.definition  # raises `DefinitionError` if it is invalid
    if options.json:
        print_json(as_json(ObjectWithPromptJson, _as_json(po), prompt=definition.prompt))
    else:
        text = definition.file.read_text(encoding="utf-8")
        print_out(clean(text) if sys.stdout.isatty() else text, end="")


def _as_json(po: "PromptObject") -> ObjectJson:
    if error := po.definition_error:
        return ObjectJson(po.name, None, None, None, error.file, str(error))
    definition = po.definition
    return ObjectJson(
        name=po.name,
        description=definition.description,
        model=definition.model.use if definition.model else None,
        capabilities=tuple(capability.name for capability in definition.capabilities),
        file=definition.file,
        fault=None,
    )


def _row(po: "PromptObject") -> tuple[str, str]:
    error = po.definition_error
    return po.name, f"invalid: {error}" if error else po.description
