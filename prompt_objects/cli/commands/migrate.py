"""`prompt-objects migrate`: bring an environment of an older version up to date."""

import os
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct, convert

from prompt_objects.cli.command import DRY_RUN, shell_command
from prompt_objects.cli.json_output import print_result
from prompt_objects.cli.targets import environment_folder
from prompt_objects.utils.text import pluralize

if TYPE_CHECKING:
    from prompt_objects.migrations.apply import StepResult
    from prompt_objects.migrations.progress import Row


class ChangeJson(Struct):
    """A change of a file."""

    object: str
    file: str
    sessions: int
    messages: int
    set_aside: Annotated[int, Meta(description="the number of unreadable entries, saved in `set-aside.json`")]
    changed: Annotated[bool, Meta(description="whether the file was changed")]
    problem: Annotated[str, Meta(description="the reason if the file was not changed, otherwise empty")]


class StepJson(Struct):
    """A step of a migration."""

    number: int
    name: str
    summary: str
    backup: Annotated[Path | None, Meta(description="the folder with the original files")]
    changes: list[ChangeJson]


class MigrationJson(Struct):
    """A migration."""

    dry_run: Annotated[bool, Meta(description="whether nothing was changed")]
    steps: list[StepJson]


@shell_command("migrate", DRY_RUN, output=MigrationJson)
def migrate(options: Namespace) -> int:
    """Bring an environment that an older version created up to date.

    The exit code is 1 if a file could not be changed.
    """
    from prompt_objects.config.environment import load_config
    from prompt_objects.environment.environment import Environment
    from prompt_objects.environment.locate import require_environment
    from prompt_objects.migrations.runner import Migrations

    folder = require_environment(environment_folder(options))
    config = load_config(folder, os.environ)
    migrations = Migrations(folder, config.data_dir)
    if options.dry_run:
        steps = migrations.preview()
    else:
        migrations.is_due()  # raises before a store is opened
        with Environment(folder, config, environ=os.environ) as environment:
            steps = migrations.run(environment.session_manager, repeat=True)
    data = MigrationJson(options.dry_run, [_as_json(step) for step in steps])
    print_result(options, data, _lines(steps, dry_run=options.dry_run))
    return int(any(row.problem for step in steps for row in step.rows))


def _as_json(result: "StepResult") -> StepJson:
    changes = convert(result.rows, list[ChangeJson], from_attributes=True)
    return StepJson(result.step.number, result.step.name, result.summary, result.backup, changes)


def _lines(steps: "list[StepResult]", *, dry_run: bool) -> Iterator[str]:
    due = [step for step in steps if step.rows]
    if not due:
        yield "Nothing to do: the environment is up to date."
    for step in due:
        yield f"{step.step.number:04} {step.summary}"
        for row in step.rows:
            yield f"  {row.file}{f' ({row.object})' if row.object else ''}: {_describe(row)}"
        if step.backup:
            yield f"  The original files: {step.backup}"
    if due and dry_run:
        yield "Nothing was changed. To migrate: prompt-objects migrate"


def _describe(row: "Row") -> str:
    if row.problem:
        return f"not changed. {row.problem}"
    parts = [f"{pluralize(row.messages, 'message')} to {pluralize(row.sessions, 'session')}"] if row.sessions else []
    parts += [f"{row.set_aside:,} set aside"] if row.set_aside else []
    parts += ["file changed"] if row.changed else []
    return ", ".join(parts)
