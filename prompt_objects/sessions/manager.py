"""`SessionManager`: sessions by their names or ids, and which of them is current."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from copy import copy
from pathlib import Path
from typing import Any, TypeAlias

from prompt_objects.errors import Busy, Damaged, NameTaken, NotFound, UsageError
from prompt_objects.message import Message, calls_of
from prompt_objects.sessions.info import ParentCall, SessionInfo, SessionRecord, TrashedSession, is_id, new_id
from prompt_objects.sessions.names import resolve_key, unique_name, valid_name, with_suffix
from prompt_objects.sessions.recent import RecentSessions
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import Archiving, Locating, SessionFilter, Store, exists
from prompt_objects.sessions.stores.errors import check_count
from prompt_objects.sessions.stores.lease import lease_holder
from prompt_objects.sessions.tree import descendants, stored_descendants
from prompt_objects.sessions.undo import UndoEntry, UndoJournal, UndoResult, truncate_undoably, undo_last
from prompt_objects.sessions.workspace import copied_workspace, remove_session_files, workspace_of
from prompt_objects.utils.text import did_you_mean, quoted
from prompt_objects.utils.time import now, timestamp

Infos: TypeAlias = list[SessionInfo]  # `list` is a method below
TrashList: TypeAlias = list[TrashedSession]
Templates: TypeAlias = Mapping[str, Sequence[Message]]
_DEFAULT = "Default"


class SessionManager:
    """The sessions of one prompt object, or of all if `po_name` is None; with `user_id`, of that user only.

    `last_used` and `journal` are in memory by default; `data_dir` holds workspaces, traces and logs; `templates`
    returns opening messages by name. A key is an id, the beginning of one (at least 4 characters) or a name; methods
    with a key raise `NotFound` and `Ambiguous`, methods with a name `InvalidName` and `NameTaken`, and methods that
    write `StoreError`.
    """

    def __init__(  # noqa: PLR0913 - all but the first two are keyword arguments
        self,
        store: Store,
        po_name: str | None = None,
        *,
        user_id: str | None = None,
        last_used: RecentSessions | None = None,
        journal: UndoJournal | None = None,
        data_dir: Path | None = None,
        templates: Callable[[], Templates] = dict,
    ) -> None:
        self.store = store
        self.po_name = po_name
        self.user_id = user_id
        self.last_used = last_used or RecentSessions()
        self.journal = journal or UndoJournal()
        self.data_dir = data_dir
        self._templates = templates

    def for_object(self, po_name: str, *, templates: Callable[[], Templates] = dict) -> "SessionManager":
        """Return the manager of one prompt object's sessions."""
        manager = copy(self)
        manager.po_name = po_name
        manager._templates = templates  # noqa: SLF001 - it is of this class
        return manager

    # Finding

    def get(self, key: str) -> Session:
        """Return the session with this key."""
        record = self._load_by_id(key)
        return Session(self.store, record or self.store.load(self._resolve(key).id))

    def current(self) -> Session:
        """Return the session used last; without one the latest, without any a new one called "Default"."""
        session = self.find_current() or self._default(self._object())
        self.last_used.use_session(session.po_name, session.id)
        return session

    def find_current(self) -> Session | None:
        """Return the session used last; without one the latest, None without any."""
        po_name = self._object()
        last = self.last_used.last_session(po_name)
        record = (self._load_by_id(last) if last else None) or self._latest(po_name)
        return Session(self.store, record) if record else None

    def _latest(self, po_name: str) -> SessionRecord | None:
        manager = self.for_object(po_name)
        for limit in (1, None):  # list all only if the latest cannot be loaded
            loaded = (self._load_by_id(info.id) for info in manager.list(limit=limit, include_children=False))
            if record := next(filter(None, loaded), None):
                return record
        return None

    def _default(self, po_name: str) -> Session:
        try:
            return Session(self.store, self.store.create(self._new_info(_DEFAULT, po_name), {}))
        except NameTaken:  # by another process, or by a session that a call started
            return self.for_object(po_name).get(_DEFAULT)

    def switch(self, key: str) -> Session:
        """Make a session the current one of its prompt object."""
        session = self.get(key)
        self.last_used.use_session(session.po_name, session.id)
        return session

    def open_file(self, path: Path) -> Session:
        """Return the session in a file. Raises `UsageError` if the file is not in the store."""
        session_id = self.store.locate(path) if isinstance(self.store, Locating) else None
        if session_id is None:
            raise UsageError(
                f"{path} is not a session file of this environment.",
                hint="Session files are in its data folder, under sessions/.",
            )
        return self.get(session_id)

    def list(self, *, limit: int | None = None, include_children: bool = True, parent: str | None = None) -> Infos:
        """Return the sessions, most recently changed first, without reading histories.

        Children are the sessions that calls of prompt objects started; `parent` selects those of one session, by id.
        """
        where = SessionFilter(
            po_name=self.po_name,
            user_id=self.user_id,
            parents=None if parent is None else [parent],
            top_level=not include_children,
        )
        return self.store.list(where, limit=limit)

    def export(self, key: str, format: str = "markdown") -> str:  # noqa: A002 - the word that users know
        """Return a session as text. Raises `UsageError` for an unknown format."""
        from prompt_objects.sessions.formats import find_format

        return find_format(format).export(self.get(key))

    # Creating and changing

    def create(  # noqa: PLR0913 - all but the name are keyword arguments
        self,
        name: str | None = None,
        *,
        po_name: str | None = None,
        unique_name: bool = False,
        template: str | None = None,
        parent: ParentCall | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Session:
        """Create a session; without a name it is called "Session 2" or similar.

        With `unique_name`, a name that is taken gets a number. A manager of all sessions needs `po_name`. Raises
        `UsageError` for an unknown template.
        """
        po_name = self._object(po_name)
        messages = self._template(template)
        if name is None:
            name, unique_name = f"Session {len(self._infos(po_name)) + 1}", True
        info = self._new_info(valid_name(name), po_name, parent)
        return Session(self.store, self.store.create(info, dict(metadata or {}), messages, unique_name=unique_name))

    def draft(self, name: str, *, parent: ParentCall | None = None) -> Session:
        """Return a session that is saved with its first message; a name that is taken gets a number then."""
        info = self._new_info(valid_name(name), self._object(), parent)
        return Session(self.store, SessionRecord(info, {}), is_draft=True)

    def rename(self, key: str, new_name: str) -> Session:
        """Change the name of a session."""
        info, name = self._find(key), valid_name(new_name)
        if name == info.name:
            return self.get(info.id)
        with self.journal.recording(UndoEntry.of("rename", info)):
            return Session(self.store, self.store.update(info.id, name=name))

    def duplicate(self, key: str, new_name: str | None = None) -> Session:
        """Copy a session, messages and metadata, named "Default copy" by default."""
        source = self.get(key)
        return self._copy(source, source.message_count, new_name, "copy", source.metadata)

    def branch(self, key: str, at: int | None = None, new_name: str | None = None) -> Session:
        """Create a session from the first `at` messages of another, by default all; its default name is "… branch".

        Its metadata has `branched_from` with the id of the other `session` and `at`. Raises `UsageError` if the
        session has fewer messages.
        """
        source = self.get(key)
        at = source.message_count if at is None else at
        check_count(source.name, source.message_count, at)
        origin = {"session": source.id, "at": at}
        return self._copy(source, at, new_name, "branch", {**source.metadata, "branched_from": origin})

    def branch_before_pending(self, session: Session) -> Session:
        """Branch a session before the user message that a turn is answering now, or at its end if there is none."""
        session.refresh()
        at = session.message_count
        last = session.tail(1)
        if last and (last[0].get("role") != "assistant" or calls_of(last[0])):
            at = max((n for n, message in enumerate(session.history) if message.get("role") == "user"), default=at)
        return self.branch(session.id, at)

    def clear(self, key: str) -> Session:
        """Remove all messages of a session; `undo` restores them. Raises `Busy` if a turn is running in it."""
        return self._truncate("clear", key, 0)

    def truncate(self, key: str, count: int) -> Session:
        """Keep the first `count` messages of a session; `undo` restores the others.

        Raises `UsageError` if it has fewer messages, and `Busy` if a turn is running in it.
        """
        return self._truncate("truncate", key, count)

    def _truncate(self, operation: Any, key: str, count: int) -> Session:
        session_id = self._find(key).id
        record = truncate_undoably(
            self.store, self.journal, session_id, count, operation=operation, user_id=self.user_id
        )
        return Session(self.store, record)

    def archive(self, key: str) -> Session:
        """Store a session compressed until its next message; it is listed, read and exported as before."""
        if not isinstance(self.store, Archiving):
            raise UsageError("The store of this environment cannot archive sessions.")
        return Session(self.store, self.store.archive(self._find(key).id))

    # Trash and undo

    def delete(self, key: str) -> SessionInfo:
        """Move a session and its descendants to the trash; `restore` and `undo` restore all of them."""
        info = self._find(key)
        others = tuple(child.id for child in stored_descendants(info.id, self.store))
        with self.journal.recording(UndoEntry.of("delete", info, others=others)):
            self.store.delete(info.id)
        for child in others:
            with suppress(NotFound):
                self.store.delete(child)
        return info

    def trash(self) -> TrashList:
        """Return the deleted sessions, most recently deleted first."""
        return [entry for entry in self.store.trash() if self._is_ours(entry.info)]

    def find_trashed(self, key: str | None = None) -> TrashedSession:
        """Return the deleted session with this key, by default the one deleted last, or its topmost parent there."""
        ours = self.trash()
        if not ours:
            raise NotFound("The trash is empty.")
        by_id = {each.info.id: each for each in ours}
        if key is not None:
            return by_id[resolve_key(key.strip(), [each.info for each in ours], "in the trash").id]
        found = ours[0]
        while found.info.parent and (parent := by_id.pop(found.info.parent.session, None)):
            found = parent
        return found

    def restore(self, key: str | None = None) -> Session:
        """Restore a session from the trash, by default the one deleted last; a name that is taken gets a number.

        Descendants that were deleted with it, or later, are restored too.
        """
        found = self.find_trashed(key)
        trash = {entry.info.id: entry for entry in self.store.trash()}
        record = self.store.restore(found.info.id)
        for child in descendants(found.info.id, (entry.info for entry in trash.values())):
            if trash[child.id].deleted_at >= found.deleted_at:
                with suppress(NotFound):
                    self.store.restore(child.id)
        return Session(self.store, record)

    def purge(self, key: str | None = None) -> Infos:
        """Permanently delete a session in the trash and its descendants, or all; return the deleted sessions.

        Raises `Busy`, and removes nothing, if one of them is in use: the running turn could not save its messages.
        """
        trash = [entry.info for entry in self.store.trash()]
        ours = [info for info in trash if self._is_ours(info)]
        roots = ours if key is None else [self.find_trashed(key).info]
        targets = {info.id: info for root in roots for info in (root, *descendants(root.id, trash))}
        for info in targets.values():
            if holder := lease_holder(self.store, info.id):
                problem = f"{info.name} cannot be purged: it is in use by {holder}."
                raise Busy(problem, holder=holder, hint="Try again when it is free.")
        removed = []
        for info in reversed(targets.values()):  # children first: if interrupted, the rest has its parent
            with suppress(NotFound):
                self.store.purge(info.id)
                if self.data_dir and not exists(self.store, info.id):
                    remove_session_files(self.data_dir, info.id)
                removed.append(info)
        return removed[::-1]

    def undo(self) -> UndoResult:
        """Undo the last rename, clear, truncate or delete, but no undo. Raises the errors of `undo_last`."""
        return undo_last(self.store, self.journal, po_name=self.po_name, user_id=self.user_id)

    # Helpers

    def _object(self, po_name: str | None = None) -> str:
        found = po_name or self.po_name or self.last_used.last_object()
        if found is None:
            raise UsageError("No prompt object was given.", hint="Give its name, po_name=….")
        if self.po_name not in (None, found):
            raise UsageError(f"These are the sessions of {self.po_name}; {found} has its own.")
        return found

    def _is_ours(self, info: SessionInfo) -> bool:
        return self.po_name in (None, info.po_name) and self.user_id in (None, info.user_id)

    def _infos(self, po_name: str | None) -> Infos:
        return self.store.list(SessionFilter(po_name=po_name or self.po_name, user_id=self.user_id))

    def _find(self, key: str) -> SessionInfo:
        record = self._load_by_id(key)
        return record.info if record else self._resolve(key)

    def _load_by_id(self, key: str) -> SessionRecord | None:
        session_id = key.strip().lower()
        if not is_id(session_id):
            return None
        try:
            record = self.store.load(session_id)
        except (NotFound, Damaged):  # a damaged session must not block the others
            return None
        return record if self._is_ours(record.info) else None

    def _resolve(self, key: str) -> SessionInfo:
        return resolve_key(key.strip(), self.list(), f"of {self.po_name}" if self.po_name else "here")

    def _template(self, name: str | None) -> Sequence[Message]:
        if name is None:
            return []
        templates = self._templates()
        if name not in templates:
            known = ", ".join(templates) or "none"
            raise UsageError(
                f"There is no template {quoted(name)}.", hint=did_you_mean(name, templates) or f"Templates: {known}."
            )
        moment = timestamp()
        return [{**message, "at": moment} for message in templates[name]]

    def _new_info(self, name: str, po_name: str, parent: ParentCall | None = None) -> SessionInfo:
        moment = now()
        return SessionInfo(
            id=new_id(),
            name=name,
            po_name=po_name,
            message_count=0,
            created_at=moment,
            updated_at=moment,
            user_id=self.user_id,
            parent=parent,
        )

    def _copy(
        self, source: Session, count: int, name: str | None, suffix: str, metadata: Mapping[str, Any]
    ) -> Session:
        if name is None:
            taken = {info.name for info in self._infos(source.po_name)}
            name = unique_name(with_suffix(source.name, suffix), taken)
        info = self._new_info(valid_name(name), source.po_name)
        with self._workspace_for(info, source):
            return Session(self.store, self.store.create(info, dict(metadata), source.page(0, count)))

    def _workspace_for(self, info: SessionInfo, source: Session) -> AbstractContextManager[None]:
        """Copy the workspace of `source` for a new session; the copy is removed if the block fails."""
        if self.data_dir is None:
            return nullcontext()
        folder = self.data_dir / "workspace"
        return copied_workspace(workspace_of(source.info, self.store, folder), folder / info.id)
