"""Application of one step: all of its changes, or none."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from prompt_objects._version import __version__
from prompt_objects.errors import Damaged, MigrationFailed, NotFound, PromptObjectsError, StoreError
from prompt_objects.message import Message
from prompt_objects.migrations.backup import OriginalFiles
from prompt_objects.migrations.change import FileChange, NewSession, ObjectChange, Target
from prompt_objects.migrations.progress import (
    AppliedStep,
    ChangeSummary,
    Progress,
    ProgressFile,
    StartedStep,
    summarize,
)
from prompt_objects.migrations.steps import Step
from prompt_objects.sessions.info import SessionInfo, new_id
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.base import SessionFilter, Store
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.text import pluralize
from prompt_objects.utils.time import now, timestamp

_TRY_AGAIN = "Try again: prompt-objects migrate"


class StepResult(Struct, frozen=True):
    """The result of a step or of its preview: its summary, its changes, and the folder of the backup."""

    step: Step
    summary: str
    changes: tuple[ChangeSummary, ...]
    backup: Path | None = None

    def notices(self) -> Iterator[str]:
        if self.backup:
            sessions, messages, skipped, changed = (
                sum(getattr(change, name) for change in self.changes)
                for name in ("sessions", "messages", "skipped", "changed")
            )
            moved = f"{pluralize(messages, 'message')} in {pluralize(sessions, 'session')}"
            yield (
                f"This environment was brought up to date ({self.step.name}): "
                f"{moved if sessions else pluralize(changed, 'file') + ' changed'}"
                f"{f', {skipped:,} skipped as unreadable' if skipped else ''}. "
                f"The original files: {self.backup}"
            )
        for change in self.changes:
            if change.problem:
                yield f"{change.file} was not changed: {change.problem}"


def preview(step: Step, target: Target) -> StepResult:
    """Return what applying a step would do; raises `MigrationFailed` if the step fails."""
    try:
        summary, migrate = step.load()
        return StepResult(step, summary, tuple(map(summarize, migrate(target))))
    except Exception as error:  # a step may raise anything
        raise MigrationFailed(_failure(step, error)) from error


class Application:
    """Applies one step to an environment."""

    def __init__(self, step: Step, target: Target, progress: ProgressFile, sessions: SessionManager) -> None:
        self._step = step
        self._target = target
        self._progress = progress
        self._sessions = sessions
        self._started: StartedStep | None = None

    def apply(self) -> StepResult:
        """Apply the step; if it fails, roll back everything and raise `MigrationFailed`."""
        try:
            summary, migrate = self._step.load()
            return self._apply(summary, list(migrate(self._target)))
        except Exception as error:  # a step may raise anything; the environment must still open
            raise self._roll_back_for(error) from error

    def _apply(self, summary: str, changes: list[ObjectChange]) -> StepResult:
        progress = self._progress.read() or Progress()
        files = [file for change in changes for file in change.files]
        if not files and progress.started is None:
            summaries = [summarize(change) for change in changes]
            self._finish(progress, summaries, None)
            return StepResult(self._step, summary, tuple(summaries))
        started = self._started = self._start(progress, changes, files)
        backup = self._backup(started)
        backup.copy_files(files, started.files)
        backup.save_skipped(piece for change in changes for piece in change.skipped)
        for change in changes:
            for session in change.sessions:
                _ensure_session(session, started.sessions[_key(session)], self._sessions)
            for file in change.files:
                _write(file)
        backup.clean_up(started.files)
        self._finish(progress, started.changes, started.backup)
        return StepResult(self._step, summary, tuple(started.changes), backup.folder)

    def _start(self, progress: Progress, changes: list[ObjectChange], files: list[FileChange]) -> StartedStep:
        """Record the planned changes, in addition to those of an interrupted run."""
        before = progress.started or StartedStep(step=self._step.number, backup=self._new_backup())
        ids = {_key(session): new_id() for change in changes for session in change.sessions}
        summaries = {(each.object, each.file): each for each in (*before.changes, *map(summarize, changes))}
        started = replace(
            before,
            sessions={**ids, **before.sessions},
            files=self._backup(before).plan(files, before.files),
            changes=list(summaries.values()),
        )
        self._progress.write(replace(progress, started=started))
        return started

    def _finish(self, progress: Progress, changes: Sequence[ChangeSummary], backup: str | None) -> None:
        """Record the step as applied; a step that was applied before and changes nothing now keeps its record."""
        number = self._step.number
        earlier = next((step for step in progress.applied if step.number == number), None)
        if earlier and backup is None:
            return
        applied = AppliedStep(
            number=number,
            name=self._step.name,
            version=__version__,
            at=timestamp(),
            backup=backup,
            changes=[*(earlier.changes if earlier else ()), *changes],
        )
        others = [step for step in progress.applied if step.number != number]
        self._progress.write(Progress(sorted([*others, applied], key=lambda step: step.number)))

    def _roll_back_for(self, error: Exception) -> MigrationFailed:
        failed = _failure(self._step, error)
        if self._started is None:
            return MigrationFailed(f"{failed} Nothing was changed.", hint=_TRY_AGAIN)
        hint = f"The original files are in {self._backup(self._started).folder}. {_TRY_AGAIN}"
        try:
            self._roll_back(self._started)
        except (OSError, PromptObjectsError) as refused:
            return MigrationFailed(f"{failed} Rolling back failed, too: {refused}", hint=hint)
        return MigrationFailed(f"{failed} All changes were rolled back.", hint=hint)

    def _roll_back(self, started: StartedStep) -> None:
        backup = self._backup(started)
        backup.restore(started.files)
        backup.clean_up(started.files)
        for session_id in started.sessions.values():
            for remove in (self._sessions.store.delete, self._sessions.store.purge):
                with suppress(NotFound):
                    remove(session_id)
        with suppress(StoreError):  # a step that stays recorded as started is applied again
            progress = self._progress.read() or Progress()
            self._progress.write(replace(progress, started=StartedStep(step=started.step, backup=started.backup)))

    def _backup(self, started: StartedStep) -> OriginalFiles:
        return OriginalFiles(self._target.data_dir / "backups" / started.backup, self._target.folder)

    def _new_backup(self) -> str:
        stem = f"migration-{now():%Y%m%dT%H%M%SZ}"
        names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
        return next(name for name in names if not (self._target.data_dir / "backups" / name).exists())


def _failure(step: Step, error: Exception) -> str:
    cause = str(error) if isinstance(error, PromptObjectsError | OSError) else f"{type(error).__name__}: {error}"
    return f"Step {step.number:04} of the migrations ({step.name}) failed: {cause.rstrip('.')}."


def _key(session: NewSession) -> str:
    return f"{session.po_name} {session.sha256}"


def _write(change: FileChange) -> None:
    before = change.before
    if before.path.read_bytes() != before.data:
        raise StoreError(f"{before.path} was changed by another program during the migration.")
    if change.after is None:
        before.path.unlink()
        disk.sync_folder(before.path.parent)
    else:
        disk.replace_file(before.path, [change.after])


def _ensure_session(session: NewSession, session_id: str, sessions: SessionManager) -> None:
    """Create the session under a free name; if an earlier run left it incomplete, complete it."""
    store = sessions.store
    found = _find_existing(session, session_id, store)
    if found is None:
        info = SessionInfo(
            id=session_id,
            name=session.name,
            po_name=session.po_name,
            message_count=len(session.messages),
            created_at=session.created_at,
            updated_at=session.updated_at,
            user_id=sessions.user_id,
        )
        metadata = {"migrated_from": {"file": session.source, "sha256": session.sha256}}
        store.create(info, metadata, session.messages, unique_name=True)
    elif found.message_count < len(session.messages):
        store.append(found.id, session.messages[found.message_count :], expected=found.message_count)


def _find_existing(session: NewSession, session_id: str, store: Store) -> SessionInfo | None:
    with suppress(NotFound):
        return store.load(session_id).info
    alike = store.list(SessionFilter(po_name=session.po_name))
    named = (info for info in alike if info.name.startswith(session.name))
    return next((info for info in named if _is_same_history(info, session, store)), None)


def _is_same_history(info: SessionInfo, session: NewSession, store: Store) -> bool:
    """Return whether a session was created from the same history and still starts with it."""
    try:
        origin = store.load(info.id).metadata.get("migrated_from")
        if not isinstance(origin, dict) or origin.get("sha256") != session.sha256:
            return False
        shared = min(info.message_count, len(session.messages))
        return _undated(store.read(info.id, 0, shared)) == _undated(session.messages[:shared])
    except (NotFound, Damaged):
        return False


def _undated(messages: Iterable[Message]) -> list[Message]:
    """Remove `at`, which may be only the modification time of the file."""
    return [{key: value for key, value in message.items() if key != "at"} for message in messages]
