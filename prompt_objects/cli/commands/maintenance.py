"""`prompt-objects sessions backup, backups, restore-backup, prune, copy`: what is done for all sessions at once."""

import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager

from prompt_objects.cli.commands.sessions import print_list, print_table
from prompt_objects.cli.json_output import backup_fields, copied_fields, pruned_fields, report_fields, session_fields
from prompt_objects.cli.streams import print_err, print_out, put_as_json
from prompt_objects.cli.targets import find_session, manager_for, open_environment
from prompt_objects.environment.environment import Environment
from prompt_objects.errors import UsageError
from prompt_objects.sessions.backups import Backup, BackupReport
from prompt_objects.sessions.prune import Pruned
from prompt_objects.sessions.store_copy import CopyResult, copy_store, count_outcomes
from prompt_objects.sessions.stores.base import Store, StoreOptions
from prompt_objects.sessions.stores.registry import open_store
from prompt_objects.sessions.stores.url import local_path, masked, resolved
from prompt_objects.ui.render.sanitize import clean_line
from prompt_objects.utils.text import pluralize, time_ago

__all__ = [
    "backup",
    "backups",
    "copy",
    "prune",
    "restore_backup",
]


def backup(options: Namespace) -> int:
    """Back up one session, or all that have changed; the exit code is 1 where one could not be."""
    with open_environment(options) as environment:
        if options.key:
            session = find_session(environment, options.object, options.key)
            report = BackupReport((environment.storage.backups.save(session.id),), (), ())
        else:
            report = environment.storage.backups.run()
    if options.json:
        put_as_json(report_fields(report))
    else:
        for path in report.saved:
            print_out(clean_line(str(path)))
        saved, removed = pluralize(len(report.saved), "session"), pluralize(len(report.removed), "old backup")
        print_err(f"{saved} backed up, {removed} removed.")
    for failure in report.failures:
        print_err(failure)
    return 1 if report.failures else 0


def backups(options: Namespace) -> None:
    """Print one line a backup, the last changed first, or with `--json` one object."""
    with open_environment(options) as environment:
        manager = manager_for(options, environment)
        names = {info.id: info.name for info in (*manager.list(), *(each.info for each in manager.trash()))}
        chosen = find_session(environment, options.object, options.key).id if options.key else None
        kept = environment.storage.backups.kept(chosen)
    if options.object:
        kept = [each for each in kept if each.session_id in names]

    def row(each: Backup) -> tuple[str, ...]:
        messages = pluralize(each.message_count, "message")
        return each.path.name, messages, time_ago(each.updated_at), names.get(each.session_id, "not in this store")

    print_list(
        kept[: options.limit],
        lambda each: backup_fields(each, names.get(each.session_id)),
        row,
        is_json=options.json,
    )


def restore_backup(options: Namespace) -> None:
    """Bring a session back from a backup."""
    with open_environment(options) as environment:
        restored = environment.storage.backups.restore(environment.storage.backups.find(options.file))
    info = restored.record.info
    if options.json:
        put_as_json(session_fields(info))
    else:
        print_out(clean_line(f"Restored: {info.name} ({info.id}) of {info.po_name}"))
    if restored.invalid_name is not None:
        print_err(f"It was called {restored.invalid_name!r:.200}, which is no name that a session can have.")


def prune(options: Namespace) -> None:
    """Remove what is old, or only say what that would be."""
    with open_environment(options) as environment:
        pruned = environment.storage.prune(dry_run=options.dry_run)
    if options.json:
        put_as_json(pruned_fields(pruned, dry_run=options.dry_run))
    else:
        print_table(_rows(pruned))
        print_err("Nothing was removed: this was a dry run." if options.dry_run else "Done.")


def _rows(pruned: Pruned) -> Iterator[tuple[str, str]]:
    """Name all that went, and at last how many of each kind."""
    yield from (("to the trash", f"{info.name} ({info.id}) of {info.po_name}") for info in pruned.empty)
    gone = [each.info for each in pruned.trashed]
    yield from (("from the trash", f"{info.name} ({info.id}) of {info.po_name}") for info in gone)
    yield from (("log", str(path)) for path in pruned.logs)
    yield from (("backup", path.name) for path in pruned.backups)
    numbers = (
        pluralize(len(pruned.empty), "empty session"),
        f"{len(gone):,} of the trash",
        pluralize(len(pruned.logs), "log"),
        pluralize(len(pruned.backups), "backup"),
    )
    yield "in all", ", ".join(numbers)


def copy(options: Namespace) -> int:
    """Copy all sessions from one store into another; the exit code is 1 where one was left out."""
    notices: list[str] = []
    with open_environment(options) as environment, _stores(options, environment, notices) as (source, target):
        copied = copy_store(source, target, _show_progress)
        notices += environment.storage.take_notices()
        origin = options.source or environment.storage.url
    if options.json:
        put_as_json(copied_fields(copied, masked(origin), masked(options.target)))
    else:
        print_table(_copied_rows(copied))
    for notice in notices:
        print_err(notice)
    return 1 if any(each.outcome in ("different", "damaged") for each in copied) else 0


@contextmanager
def _stores(options: Namespace, environment: Environment, notices: list[str]) -> Iterator[tuple[Store, Store]]:
    """Open both. Raises `UsageError` for a source that is not there, and a store that keeps nothing."""
    store_options = StoreOptions(**environment.config.store_options, notify=notices.append)
    source, target = (url and resolved(url, environment.folder) for url in (options.source, options.target))
    if "memory:" in (source, target):
        raise UsageError(
            "The store memory: begins empty, and is gone when the copying ends.", hint="Name one that lasts."
        )
    if source:
        _check_source(source)
    with closing(open_store(target, store_options)) as to:
        if not source:
            yield environment.storage.store, to
            return
        with closing(open_store(source, store_options)) as origin:
            yield origin, to


def _check_source(url: str) -> None:
    """Refuse a folder or file that is not there; to open it would be to make it."""
    path = local_path(url)
    place = path / "sessions" if path and url.startswith("files:") else path
    if place and not os.path.exists(place):  # noqa: PTH110 - what may not be looked at is none, and no crash
        raise UsageError(
            f"{url!r} has no sessions: there is no {place}.",
            hint="Name the store to copy from, such as files:PATH/.prompt_objects; nothing was copied.",
        )


def _show_progress(done: int, number: int) -> None:
    """Write how far it is over the same line again, where there is a terminal to see it."""
    if sys.stderr.isatty():
        end = "\n" if done == number else ""
        print(f"\r{done:,} of {pluralize(number, 'session')}", end=end, file=sys.stderr, flush=True)


_TROUBLES = {
    "different": "is not the same in the target, where it was left as it is",
    "damaged": "cannot be read; prompt-objects doctor may help",
}


def _copied_rows(copied: list[CopyResult]) -> Iterator[tuple[str, str]]:
    """Name what did not go smoothly, and at last how many of each kind."""
    for each in copied:
        what = f"{each.name} ({each.id}) of {each.po_name}"
        if each.outcome in _TROUBLES:
            yield each.outcome, f"{what} {_TROUBLES[each.outcome]}"
        if each.renamed:
            yield "renamed", f"{what} is called {each.renamed} there"
    yield "in all", ", ".join(f"{number:,} {outcome}" for outcome, number in count_outcomes(copied).items())
