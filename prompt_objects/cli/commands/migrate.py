"""`prompt-objects migrate`: bringing an environment up to date, by hand."""

import os
from argparse import Namespace
from collections.abc import Iterator

from prompt_objects.cli.json_output import migration_fields
from prompt_objects.cli.streams import print_out, put_as_json
from prompt_objects.cli.targets import environment_folder
from prompt_objects.config.environment import load_config
from prompt_objects.environment.environment import Environment
from prompt_objects.environment.locate import require_environment
from prompt_objects.migrations.apply import StepResult
from prompt_objects.migrations.progress import Row
from prompt_objects.migrations.runner import Migrations
from prompt_objects.ui.render.sanitize import clean_line
from prompt_objects.utils.text import pluralize

__all__ = [
    "run",
]


def run(options: Namespace) -> int:
    """Take every step that finds something to do, or say what would be done; 1 where a file had to be left alone."""
    folder = require_environment(environment_folder(options))
    config = load_config(folder, os.environ)
    migrations = Migrations(folder, config.data_dir)
    if options.dry_run:
        steps = migrations.preview()
    else:
        migrations.is_due()  # raises before a store is opened
        with Environment(folder, config, environ=os.environ) as environment:
            steps = migrations.run(environment.session_manager, again=True)
    if options.json:
        put_as_json(migration_fields(steps, dry_run=options.dry_run))
    else:
        for line in _lines(steps, dry_run=options.dry_run):
            print_out(clean_line(line))
    return int(any(row.problem for step in steps for row in step.rows))


def _lines(steps: list[StepResult], *, dry_run: bool) -> Iterator[str]:
    found = [step for step in steps if step.rows]
    if not found:
        yield "Nothing to do: the environment is up to date."
    for step in found:
        yield f"{step.step.number:04} {step.summary}"
        for row in step.rows:
            yield f"  {row.file}{f' ({row.object})' if row.object else ''}: {_words(row)}"
        if step.backup:
            yield f"  The files as they were: {step.backup}"
    if found and dry_run:
        yield "Nothing was changed. Do it with: prompt-objects migrate"


def _words(row: Row) -> str:
    if row.problem:
        return f"left as it is. {row.problem}"
    parts = [f"{pluralize(row.messages, 'message')} to {pluralize(row.sessions, 'session')}"] if row.sessions else []
    parts += [f"{row.set_aside:,} set aside"] if row.set_aside else []
    parts += ["file changed"] if row.changed else []
    return ", ".join(parts)
