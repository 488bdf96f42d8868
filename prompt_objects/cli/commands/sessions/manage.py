"""`prompt-objects sessions …`: commands for one session, and lists of sessions."""

from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct

from prompt_objects.cli.command import KEY, LIMIT, OBJECT, OBJECT_FILTER, YES, argument, shell_command, whole_number
from prompt_objects.cli.json_output import (
    SessionJson,
    TrashedSessionJson,
    format_table,
    print_result,
    session_json,
    trashed_session_json,
)
from prompt_objects.cli.streams import confirm, print_bytes, print_err, print_json_text, print_text
from prompt_objects.cli.targets import open_environment, open_session, session_manager_for
from prompt_objects.utils.text import pluralize
from prompt_objects.utils.time import time_ago

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prompt_objects.sessions.info import SessionInfo, TrashedSession
    from prompt_objects.sessions.requests import SentRequest
    from prompt_objects.sessions.session import Session

_UNDO_HINT = "Undo it with: prompt-objects sessions undo"
ANSWER = partial(whole_number, minimum=1)
_TRASHED_KEY = "a session in the trash: its id, the start of its id or its name; by default "


class UndoneJson(Struct):
    """An undone command."""

    operation: Literal["rename", "clear", "truncate", "delete"]
    session: Annotated[SessionJson, Meta(description="the session after the undo")]


@shell_command(
    "sessions list",
    OBJECT_FILTER,
    LIMIT,
    argument("--trash", action="store_true", help="the same as: sessions trash"),
    output=list[SessionJson],
)
def list_(options: Namespace) -> None:
    """List sessions, most recently changed first."""
    if options.trash:
        trash.run(options)
        return
    with open_environment(options, reading=True) as environment:
        infos = session_manager_for(options, environment).list(limit=options.limit)
    print_result(options, map(session_json, infos), format_table(_rows(infos)))
    if not infos:
        print_err("There are no sessions." if not options.object else f"{options.object} has no sessions.")


@shell_command("sessions trash", OBJECT_FILTER, LIMIT, output=list[TrashedSessionJson])
def trash(options: Namespace) -> None:
    """List the sessions in the trash, most recently deleted first."""
    with open_environment(options, reading=True) as environment:
        deleted = session_manager_for(options, environment).trash()[: options.limit]
    print_result(options, map(trashed_session_json, deleted), format_table(_trashed_rows(deleted)))


@shell_command(
    "sessions show",
    KEY,
    OBJECT_FILTER,
    argument("--request", type=ANSWER, metavar="N", help="print the request that led to the Nth answer, as sent"),
    argument("--diff", type=ANSWER, nargs=2, metavar=("N", "M"), help="print how the requests of two answers differ"),
    output=dict,
    examples=("sessions show Default --request 2", "sessions show Default --diff 1 2"),
)
def show(options: Namespace) -> int:
    """Print a session as Markdown, or the request that led to an answer.

    `--json` prints the whole file; docs/session-files.md describes it. Answers are counted from 1. The exit code is 1
    if a request is not exactly the one that was sent.
    """
    if options.request is None and options.diff is None:
        _print_exported(options, "json" if options.json else "markdown")
        return 0
    with open_session(options, reading=True) as (_, session):
        found = [session.request(number) for number in options.diff or [options.request]]
    return _print_requests(found, options.diff)


@shell_command(
    "sessions export",
    KEY,
    argument("--format", metavar="FORMAT", default="markdown", help="markdown (default), json or an installed one"),
    argument("--output", metavar="FILE", help="a new file; by default standard output"),
    OBJECT_FILTER,
    examples=("sessions export 'Plan B' --output plan.md",),
)
def export(options: Namespace) -> None:
    """Write a session to a file or to standard output."""
    _print_exported(options, options.format, options.output)


@shell_command(
    "sessions new",
    argument("name", nargs="?", metavar="NAME", help="its name; by default the next free one of Session 2, 3, …"),
    OBJECT,
    output=SessionJson,
)
def new(options: Namespace) -> None:
    """Create a session."""
    with open_environment(options) as environment:
        po = environment[options.object] if options.object else environment.current_object
        _print_session("Created", po.session_manager.create(options.name), options)


@shell_command(
    "sessions rename",
    KEY,
    argument("name", metavar="NAME", help="the new name"),
    OBJECT_FILTER,
    output=SessionJson,
    examples=("sessions rename 'Session 2' 'Plan B'",),
)
def rename(options: Namespace) -> None:
    """Rename a session."""
    with open_session(options) as (environment, session):
        _print_session("Renamed", environment.session_manager.rename(session.id, options.name), options)


@shell_command(
    "sessions duplicate",
    KEY,
    argument("name", nargs="?", metavar="NAME", help="the copy's name; by default the same with 'copy' after it"),
    OBJECT_FILTER,
    output=SessionJson,
)
def duplicate(options: Namespace) -> None:
    """Copy a session."""
    with open_session(options) as (environment, session):
        _print_session("Copied", environment.session_manager.duplicate(session.id, options.name), options)


@shell_command(
    "sessions branch",
    KEY,
    argument("name", nargs="?", metavar="NAME", help="the branch's name; by default the same with 'branch' after it"),
    argument("--at", type=whole_number, metavar="N", help="the number of messages to copy; by default all"),
    OBJECT_FILTER,
    output=SessionJson,
    examples=("sessions branch 'Plan B' 'Plan C' --at 4",),
)
def branch(options: Namespace) -> None:
    """Create a session from the first messages of another one."""
    with open_session(options) as (environment, session):
        made = environment.session_manager.branch(session.id, options.at, options.name)
        _print_session("Branched", made, options)


@shell_command("sessions clear", KEY, OBJECT_FILTER, output=SessionJson)
def clear(options: Namespace) -> None:
    """Remove all messages of a session; a copy of it goes to the trash."""
    with open_session(options) as (environment, session):
        _print_session("Cleared", environment.session_manager.clear(session.id), options)
        print_err(_UNDO_HINT)


@shell_command(
    "sessions truncate",
    KEY,
    argument("count", type=whole_number, metavar="COUNT", help="the number of messages to keep"),
    OBJECT_FILTER,
    output=SessionJson,
)
def truncate(options: Namespace) -> None:
    """Keep only the first messages of a session; a copy of it goes to the trash."""
    with open_session(options) as (environment, session):
        _print_session("Truncated", environment.session_manager.truncate(session.id, options.count), options)
        print_err(_UNDO_HINT)


@shell_command("sessions undo", OBJECT_FILTER, output=UndoneJson)
def undo(options: Namespace) -> None:
    """Undo the last rename, clear, truncate or delete."""
    with open_environment(options) as environment:
        undone = session_manager_for(options, environment).undo()
    print_result(options, UndoneJson(undone.operation, session_json(undone.record.info)), [str(undone)])


@shell_command("sessions archive", KEY, OBJECT_FILTER, output=SessionJson)
def archive(options: Namespace) -> None:
    """Compress a session until its next message."""
    with open_session(options) as (environment, session):
        _print_session("Archived", environment.session_manager.archive(session.id), options)


@shell_command("sessions delete", KEY, OBJECT_FILTER, output=SessionJson)
def delete(options: Namespace) -> None:
    """Move a session to the trash."""
    from prompt_objects.sessions.stores.lease import lease_holder

    with open_session(options) as (environment, session):
        holder = lease_holder(environment.storage.store, session.id)
        environment.session_manager.delete(session.id)
        _print_session("Moved to the trash", session, options)
        if holder:
            print_err(f"It is in use by {holder}; the next message saved there restores it from the trash.")
        print_err(f"Restore it with: prompt-objects sessions restore {session.id}")


@shell_command(
    "sessions restore",
    argument("key", nargs="?", metavar="KEY", help=f"{_TRASHED_KEY}the last deleted"),
    OBJECT_FILTER,
    output=SessionJson,
)
def restore(options: Namespace) -> None:
    """Restore a session from the trash."""
    with open_environment(options) as environment:
        _print_session("Restored", session_manager_for(options, environment).restore(options.key), options)


@shell_command(
    "sessions purge",
    argument("key", nargs="?", metavar="KEY", help=f"{_TRASHED_KEY}all of them"),
    YES,
    OBJECT_FILTER,
    output=list[SessionJson],
)
def purge(options: Namespace) -> None:
    """Permanently delete a session in the trash, or all of them."""
    from prompt_objects.sessions.tree import describe

    with open_environment(options) as environment:
        manager = session_manager_for(options, environment)
        chosen = manager.find_trashed(options.key).info if options.key else None
        targets = [chosen] if chosen else [each.info for each in manager.trash()]
        if targets and not options.yes and not confirm(f"Permanently delete {describe(targets)}?"):
            print_err("Nothing was deleted.")
            return
        purged = manager.purge(chosen.id if chosen else None)
    print_result(options, map(session_json, purged), format_table(_rows(purged)))
    print_err(f"Deleted permanently: {describe(purged)}.")


def _print_exported(options: Namespace, format_name: str, output: str | None = None) -> None:
    from prompt_objects.sessions.formats import find_format, write_new

    with open_session(options, reading=True) as (_, session):
        text = find_format(format_name).export(session)
    if output:
        print_err(f"Wrote {write_new(Path(output), text)}")
    elif format_name == "json":
        print_json_text(text)
    else:
        print_text(text)


def _print_requests(found: "Sequence[SentRequest]", compared: "Sequence[int] | None") -> int:
    """Print a request, or how two differ; return the exit code."""
    from prompt_objects.sessions.request_diff import request_diff
    from prompt_objects.sessions.requests import NOT_EXACT

    if compared is None:
        print_bytes(found[0].body)
        for repair in found[0].record.adaptations.repairs:
            print_err(f"Adapted for the server: {repair}")
    elif text := request_diff(found[0], found[1], (f"answer {compared[0]}", f"answer {compared[1]}")):
        print_text(text)
    else:
        print_err("The requests are equal.")
    is_exact = all(request.is_exact for request in found)
    if not is_exact:
        print_err(NOT_EXACT)
    return 0 if is_exact else 1


def _print_session(verb: str, session: "Session", options: Namespace) -> None:
    line = f"{verb}: {session.name} ({session.id}) of {session.po_name}"
    print_result(options, session_json(session.info), [line])


def _rows(infos: "Sequence[SessionInfo]") -> "Iterator[tuple[str, ...]]":
    from prompt_objects.sessions.names import short_ids

    for info, short_id in zip(infos, short_ids(infos), strict=True):
        count = pluralize(info.message_count, "message")
        yield info.name, info.po_name, count, time_ago(info.updated_at), short_id


def _trashed_rows(deleted: "Sequence[TrashedSession]") -> "Iterator[tuple[str, ...]]":
    for trashed, (*row, _, short_id) in zip(deleted, _rows([each.info for each in deleted]), strict=True):
        yield *row, f"deleted {time_ago(trashed.deleted_at)}", short_id
