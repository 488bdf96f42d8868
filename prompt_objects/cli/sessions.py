"""`prompt-objects sessions …`: the sessions of an environment, from the shell."""

import json
import sys
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path

import msgspec

from prompt_objects.cli.opening import find_session, manager_for, note, open_environment
from prompt_objects.environment import Environment
from prompt_objects.sessions.export import write_new
from prompt_objects.sessions.formats import exporter
from prompt_objects.sessions.session import Session, SessionInfo
from prompt_objects.ui.sanitize import clean, clean_line
from prompt_objects.wording import ago, count

__all__ = ["delete", "duplicate", "export", "list_", "new", "rename", "restore", "show"]


def list_(options: Namespace) -> None:
    """Print one line a session, the latest first, or with `--json` one object a session."""
    with open_environment(options) as environment:
        infos = manager_for(options, environment).list(limit=getattr(options, "limit", None))
        if options.json:
            print(json.dumps([_fields(info) for info in infos], ensure_ascii=False, indent=2))
        else:
            _print_table(
                (info.id, info.po_name, count(info.message_count, "message"), ago(info.updated_at), info.name)
                for info in infos
            )


def show(options: Namespace) -> None:
    """Print a session: as Markdown, or with `--json` the whole document."""
    with open_environment(options) as environment:
        session = _find(options, environment)
        text = exporter("json" if options.json else "markdown")(session)
        print(clean(text) if sys.stdout.isatty() else text)


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
        environment.session_manager.delete(session.id)
        _print_done("In the trash", session, options)
        note(f"Bring it back with: prompt-objects sessions restore {session.id}")


def restore(options: Namespace) -> None:
    """Bring a session back from the trash."""
    with open_environment(options) as environment:
        _print_done("Restored", manager_for(options, environment).restore(options.key), options)


def duplicate(options: Namespace) -> None:
    """Copy a session."""
    with open_environment(options) as environment:
        session = _find(options, environment)
        _print_done("Copied", environment.session_manager.duplicate(session.id, options.name), options)


def export(options: Namespace) -> None:
    """Write a session as Markdown or JSON, to a new file or to standard output."""
    with open_environment(options) as environment:
        text = exporter(options.format)(_find(options, environment))
    if options.output:
        note(f"Wrote {write_new(Path(options.output), text)}")
    else:
        print(clean(text) if sys.stdout.isatty() else text)


def _find(options: Namespace, environment: Environment) -> Session:
    return find_session(environment, options.object, options.key)


def _fields(info: SessionInfo) -> dict[str, object]:
    """Build what `--json` prints of a session: its keys are documented and stay."""
    fields: dict[str, object] = msgspec.to_builtins(msgspec.structs.asdict(info))
    return fields


def _print_done(what: str, session: Session, options: Namespace) -> None:
    if options.json:
        print(json.dumps(_fields(session.info), ensure_ascii=False, indent=2))
    else:
        print(clean_line(f"{what}: {session.name} ({session.id}) of {session.po_name}"))


def _print_table(rows: Iterable[tuple[str, ...]]) -> None:
    table = [tuple(clean_line(cell) for cell in row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
