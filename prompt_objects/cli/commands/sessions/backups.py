"""`prompt-objects sessions backup, backups, restore-backup, recover, prune`: backups, and the removal of old data."""

from argparse import Namespace
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct, convert

from prompt_objects.cli.command import DRY_RUN, LIMIT, OBJECT_FILTER, argument, shell_command
from prompt_objects.cli.json_output import (
    SessionJson,
    TrashedSessionJson,
    format_table,
    print_result,
    session_json,
    trashed_session_json,
)
from prompt_objects.cli.streams import print_err
from prompt_objects.cli.targets import find_session, open_environment, session_manager_for
from prompt_objects.utils.text import pluralize
from prompt_objects.utils.time import time_ago

if TYPE_CHECKING:
    from prompt_objects.sessions.backups import Backup
    from prompt_objects.sessions.info import SessionInfo
    from prompt_objects.sessions.prune import Pruned


class BackupReportJson(Struct):
    """The result of a backup."""

    saved: Annotated[tuple[Path, ...], Meta(description="the files that were written")]
    removed: Annotated[tuple[Path, ...], Meta(description="the files that exceeded the number or age to keep")]
    failures: Annotated[tuple[str, ...], Meta(description="the sessions that could not be backed up, and why")]


class BackupJson(Struct):
    """A backup."""

    file: Path
    session: Annotated[str, Meta(description="the id of the session")]
    name: Annotated[str | None, Meta(description="its name; null if it is neither in the store nor in its trash")]
    po_name: Annotated[str | None, Meta(description="its prompt object; null as for the name")]
    updated_at: Annotated[datetime, Meta(description="the time of the last message in it")]
    message_count: int


class PrunedJson(Struct):
    """The result of `sessions prune`."""

    dry_run: Annotated[bool, Meta(description="whether nothing was changed")]
    empty: Annotated[list[SessionJson], Meta(description="sessions without messages; moved to the trash")]
    trashed: Annotated[list[TrashedSessionJson], Meta(description="permanently deleted sessions")]
    logs: Annotated[tuple[Path, ...], Meta(description="the files that were removed")]
    backups: Annotated[tuple[Path, ...], Meta(description="the files that were removed")]
    frames: Annotated[tuple[str, ...], Meta(description="the digests of request frames that no answer refers to")]


@shell_command(
    "sessions backup",
    argument("key", nargs="?", metavar="KEY", help="a session; by default all that have changed"),
    OBJECT_FILTER,
    output=BackupReportJson,
)
def backup(options: Namespace) -> int:
    """Back up one session, or all that have changed since their last backup.

    The exit code is 1 if one could not be backed up.
    """
    from prompt_objects.sessions.backups import BackupReport

    with open_environment(options) as environment:
        if options.key:
            session = find_session(environment, options.object, options.key)
            report = BackupReport((environment.storage.backups.save(session.id),), (), ())
        else:
            report = environment.storage.backups.run()
    print_result(options, convert(report, BackupReportJson, from_attributes=True), map(str, report.saved))
    if not options.json:
        saved, removed = pluralize(len(report.saved), "session"), pluralize(len(report.removed), "old backup")
        print_err(f"{saved} backed up, {removed} removed.")
    print_err(*report.failures)
    return 1 if report.failures else 0


@shell_command(
    "sessions backups",
    argument("key", nargs="?", metavar="KEY", help="only backups of this session"),
    OBJECT_FILTER,
    LIMIT,
    output=list[BackupJson],
)
def backups(options: Namespace) -> None:
    """List the backups, most recently changed first."""
    with open_environment(options, reading=True) as environment:
        manager = session_manager_for(options, environment)
        known = {info.id: info for info in (*manager.list(), *(each.info for each in manager.trash()))}
        session_id = find_session(environment, options.object, options.key).id if options.key else None
        kept = environment.storage.backups.kept(session_id)
    if options.object:
        kept = [each for each in kept if each.session_id in known]
    listed = [_backup_json(each, known.get(each.session_id)) for each in kept[: options.limit]]
    print_result(options, listed, format_table(map(_backup_row, listed)))


@shell_command(
    "sessions restore-backup",
    argument("file", metavar="FILE", help="a backup: its path, or its name in the list of backups"),
    output=SessionJson,
)
def restore_backup(options: Namespace) -> None:
    """Restore a session from a backup; nothing is overwritten."""
    with open_environment(options) as environment:
        restored = environment.storage.backups.restore(environment.storage.backups.find(options.file))
    info = restored.record.info
    print_result(options, session_json(info), [f"Restored: {info.name} ({info.id}) of {info.po_name}"])
    if restored.invalid_name is not None:
        print_err(f"Its name in the backup was {restored.invalid_name!r:.200}, which is not a valid session name.")


@shell_command("sessions recover", output=list[SessionJson])
def recover(options: Namespace) -> None:
    """Save the responses that could not be saved when they arrived.

    An answer goes to the end of its session, or into a copy if the session has changed since then.
    """
    with open_environment(options) as environment:
        saved = [record.info for record in environment.storage.unsaved.recover(environment.storage.store)]
    lines = [f"Saved: {info.name} ({info.id}) of {info.po_name}" for info in saved]
    print_result(options, map(session_json, saved), lines)
    if not saved:
        print_err("There is nothing to recover.")


@shell_command("sessions prune", DRY_RUN, output=PrunedJson)
def prune(options: Namespace) -> None:
    """Remove old data: empty sessions, trash, logs, backups, and request frames that no answer refers to."""
    with open_environment(options, reading=options.dry_run) as environment:
        pruned = environment.storage.prune(dry_run=options.dry_run)
    empty, trashed = list(map(session_json, pruned.empty)), list(map(trashed_session_json, pruned.trashed))
    data = PrunedJson(options.dry_run, empty, trashed, pruned.logs, pruned.backups, pruned.frames)
    print_result(options, data, format_table(_pruned_rows(pruned)))
    if not options.json:
        print_err("Nothing was removed: this was a dry run." if options.dry_run else "Done.")


def _backup_json(backup: "Backup", info: "SessionInfo | None") -> BackupJson:
    name, po_name = (info.name, info.po_name) if info else (None, None)
    return BackupJson(backup.path, backup.session_id, name, po_name, backup.updated_at, backup.message_count)


def _backup_row(each: BackupJson) -> tuple[str, ...]:
    messages = pluralize(each.message_count, "message")
    return each.name or "not in this store", each.po_name or "", messages, time_ago(each.updated_at), each.file.name


def _pruned_rows(pruned: "Pruned") -> Iterator[tuple[str, str]]:
    for moved, infos in (("to", pruned.empty), ("from", [each.info for each in pruned.trashed])):
        yield from ((f"{moved} the trash", f"{info.name} ({info.id}) of {info.po_name}") for info in infos)
    yield from (("log", str(path)) for path in pruned.logs)
    yield from (("backup", path.name) for path in pruned.backups)
    yield from (("frame", digest) for digest in pruned.frames)
    empty, logs = pluralize(len(pruned.empty), "empty session"), pluralize(len(pruned.logs), "log")
    backups = pluralize(len(pruned.backups), "backup")
    frames = pluralize(len(pruned.frames), "frame")
    yield "total", f"{empty}, {len(pruned.trashed):,} from the trash, {logs}, {backups}, {frames}"
