"""`prompt-objects sessions …`: the sessions of an environment, from the shell."""

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from prompt_objects.cli.json_output import session_fields, trashed_fields, undone_fields
from prompt_objects.cli.streams import confirm, print_err, print_out, put_as_json, put_json
from prompt_objects.cli.targets import find_session, manager_for, open_environment
from prompt_objects.environment.environment import Environment
from prompt_objects.sessions.formats import find_format, write_new
from prompt_objects.sessions.info import SessionInfo, TrashedSession
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import lease_holder
from prompt_objects.ui.render.sanitize import clean, clean_line
from prompt_objects.utils.text import pluralize, time_ago

__all__ = [
    "archive",
    "branch",
    "clear",
    "delete",
    "duplicate",
    "export",
    "list_",
    "new",
    "print_list",
    "print_table",
    "purge",
    "rename",
    "restore",
    "show",
    "trash",
    "truncate",
    "undo",
]

T = TypeVar("T")
_TO_UNDO = "Take it back with: prompt-objects sessions undo"


def list_(options: Namespace) -> None:
    """Print one line a session, the latest first, or with `--json` one object a session."""
    if options.trash:
        trash(options)
        return
    with open_environment(options) as environment:
        infos = manager_for(options, environment).list(limit=options.limit)
        print_list(infos, session_fields, _row, is_json=options.json)


def trash(options: Namespace) -> None:
    """Print one line a deleted session, the last deleted first, or with `--json` one object."""
    with open_environment(options) as environment:
        deleted = manager_for(options, environment).trash()[: options.limit]
        print_list(deleted, trashed_fields, _trashed_row, is_json=options.json)


def show(options: Namespace) -> None:
    """Print a session: as Markdown, or with `--json` the whole document."""
    with open_environment(options) as environment:
        session = _find(options, environment)
        text = find_format("json" if options.json else "markdown").export(session)
        _print_text(text, is_json=options.json)


def new(options: Namespace) -> None:
    """Begin a session of the prompt object that is named, or of the one last used."""
    with open_environment(options) as environment:
        po = environment[options.object] if options.object else environment.current_object
        _print_done("New", po.session_manager.create(options.name), options)


def rename(options: Namespace) -> None:
    """Give a session another name."""
    with open_environment(options) as environment:
        session = _find(options, environment)
        manager = environment.session_manager
        _print_done("Renamed", manager.rename(session.id, options.name), options)


def delete(options: Namespace) -> None:
    """Move a session to the trash."""
    with open_environment(options) as environment:
        session = _find(options, environment)
        holder = lease_holder(environment.storage.store, session.id)
        environment.session_manager.delete(session.id)
        _print_done("In the trash", session, options)
        if holder:
            print_err(f"It is in use by {holder}, and what is answered there brings it back.")
        print_err(f"Bring it back with: prompt-objects sessions restore {session.id}")


def purge(options: Namespace) -> None:
    """Remove a session from the trash for good, or all; ask first."""
    with open_environment(options) as environment:
        manager = manager_for(options, environment)
        chosen = manager.find_trashed(options.key).info if options.key else None
        number = len(manager.trash())
        what = f"session {chosen.name}" if chosen else pluralize(number, "session")
        if (chosen or number) and not options.yes and not confirm(f"Remove {what} from the trash for good?"):
            print_err("Nothing was removed.")
            return
        gone = manager.purge(chosen.id if chosen else None)
        print_list(gone, session_fields, _row, is_json=options.json)
        print_err(f"{pluralize(len(gone), 'session')} gone for good.")


def restore(options: Namespace) -> None:
    """Bring a session back from the trash."""
    with open_environment(options) as environment:
        _print_done("Restored", manager_for(options, environment).restore(options.key), options)


def duplicate(options: Namespace) -> None:
    """Copy a session."""
    with open_environment(options) as environment:
        session = _find(options, environment)
        _print_done("Copied", environment.session_manager.duplicate(session.id, options.name), options)


def branch(options: Namespace) -> None:
    """Begin a session with the first messages of another one."""
    with open_environment(options) as environment:
        session = _find(options, environment)
        made = environment.session_manager.branch(session.id, options.at, options.name)
        _print_done("Branched", made, options)


def clear(options: Namespace) -> None:
    """Drop all messages of a session."""
    with open_environment(options) as environment:
        session = _find(options, environment)
        _print_done("Cleared", environment.session_manager.clear(session.id), options)
        print_err(_TO_UNDO)


def truncate(options: Namespace) -> None:
    """Keep the first messages of a session."""
    with open_environment(options) as environment:
        session = _find(options, environment)
        _print_done("Truncated", environment.session_manager.truncate(session.id, options.count), options)
        print_err(_TO_UNDO)


def undo(options: Namespace) -> None:
    """Undo what was last renamed, cleared, truncated or deleted."""
    with open_environment(options) as environment:
        undone = manager_for(options, environment).undo()
    if options.json:
        put_as_json(undone_fields(undone))
    else:
        print_out(clean_line(str(undone)))


def archive(options: Namespace) -> None:
    """Keep a session compressed until its next message."""
    with open_environment(options) as environment:
        session = _find(options, environment)
        _print_done("Archived", environment.session_manager.archive(session.id), options)


def export(options: Namespace) -> None:
    """Write a session as Markdown, JSON or another format, to a new file or to standard output."""
    with open_environment(options) as environment:
        text = find_format(options.format).export(_find(options, environment))
    if options.output:
        print_err(f"Wrote {write_new(Path(options.output), text)}")
    else:
        _print_text(text, is_json=options.format == "json")


def _find(options: Namespace, environment: Environment) -> Session:
    return find_session(environment, options.object, options.key)


def _print_text(text: str, *, is_json: bool) -> None:
    if is_json:
        put_json(text)
    else:
        print_out(clean(text) if sys.stdout.isatty() else text)


def _print_done(what: str, session: Session, options: Namespace) -> None:
    if options.json:
        put_as_json(session_fields(session.info))
    else:
        print_out(clean_line(f"{what}: {session.name} ({session.id}) of {session.po_name}"))


def print_list(
    items: Sequence[T],
    fields: Callable[[T], dict[str, object]],
    row: Callable[[T], tuple[str, ...]],
    *,
    is_json: bool,
) -> None:
    """Print a list: one object an item, or a row."""
    if is_json:
        put_as_json([fields(item) for item in items])
    else:
        print_table(map(row, items))


def _row(info: SessionInfo) -> tuple[str, ...]:
    return info.id, info.po_name, pluralize(info.message_count, "message"), time_ago(info.updated_at), info.name


def _trashed_row(trashed: TrashedSession) -> tuple[str, ...]:
    *row, _, name = _row(trashed.info)
    return *row, f"deleted {time_ago(trashed.deleted_at)}", name


def print_table(rows: Iterable[tuple[str, ...]]) -> None:
    """Print rows of text, columns below one another."""
    table = [tuple(clean_line(cell) for cell in row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        print_out("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
