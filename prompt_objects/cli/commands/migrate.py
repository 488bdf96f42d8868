"""`prompt-objects migrate`: bring an environment of an older version up to date."""

import os
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct, convert, field

from prompt_objects.cli.command import DRY_RUN, shell_command
from prompt_objects.cli.json_output import print_result
from prompt_objects.cli.targets import environment_folder
from prompt_objects.utils.text import pluralize

if TYPE_CHECKING:
    from prompt_objects.migrations.apply import StepResult
    from prompt_objects.migrations.progress import ChangeSummary


class ChangeJson(Struct):
    """A change of a file."""

    object: str
    file: str
    sessions: int
    messages: int
    skipped: Annotated[int, Meta(description="the number of unreadable entries, saved in `set-aside.json`")] = field(
        name="set_aside"
    )
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
    from prompt_objects.environment.authority import load_accepted_config
    from prompt_objects.environment.environment import Environment
    from prompt_objects.environment.locate import require_environment
    from prompt_objects.migrations.runner import Migrations

    folder = require_environment(environment_folder(options))
    config, authority = load_accepted_config(folder, os.environ)
    migrations = Migrations(folder, config.data_dir)
    if options.dry_run:
        steps = migrations.preview()
    else:
        migrations.is_due()  # raises before a store is opened
        with Environment(folder, config, authority) as environment:
            steps = migrations.run(environment.session_manager, repeat=True)
    data = MigrationJson(options.dry_run, [_as_json(step) for step in steps])
    print_result(options, data, _lines(steps, dry_run=options.dry_run))
    return int(any(change.problem for step in steps for change in step.changes))


def _as_json(result: "StepResult") -> StepJson:
    changes = convert(result.changes, list[ChangeJson], from_attributes=True)
    return StepJson(result.step.number, result.step.name, result.summary, result.backup, changes)


def _lines(steps: "list[StepResult]", *, dry_run: bool) -> Iterator[str]:
    due = [step for step in steps if step.changes]
    if not due:
        yield "Nothing to do: the environment is up to date."
    for step in due:
        yield f"{step.step.number:04} {step.summary}"
        for change in step.changes:
            yield f"  {change.file}{f' ({change.object})' if change.object else ''}: {_describe(change)}"
        if step.backup:
            yield f"  The original files: {step.backup}"
    if due and dry_run:
        yield "Nothing was changed. To migrate: prompt-objects migrate"


def _describe(change: "ChangeSummary") -> str:
    if change.problem:
        return f"not changed. {change.problem}"
    moved = f"{pluralize(change.messages, 'message')} to {pluralize(change.sessions, 'session')}"
    skipped = f"{change.skipped:,} skipped" if change.skipped else ""
    parts = (moved if change.sessions else "", skipped, "file changed" if change.changed else "")
    return ", ".join(filter(None, parts))
