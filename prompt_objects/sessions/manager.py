"""SessionManager: how a person, or a program, gets at sessions by their names."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeAlias

from prompt_objects.errors import Busy, Conflict, Damaged, NameTaken, NotFound, UsageError
from prompt_objects.message import Message
from prompt_objects.sessions.info import ParentCall, SessionInfo, SessionRecord, TrashedSession, new_id
from prompt_objects.sessions.lookup import resolve_key
from prompt_objects.sessions.names import is_id, unique_name, valid_name, with_suffix
from prompt_objects.sessions.recent import RecentSessions
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import Store
from prompt_objects.sessions.tree import descendants
from prompt_objects.sessions.undo import Operation, UndoEntry, UndoJournal, UndoResult, copy_to_trash, undo_last
from prompt_objects.sessions.workspace import copied_workspace, exists, remove_session_files, workspace_of
from prompt_objects.utils.process import ProcessInfo
from prompt_objects.utils.text import did_you_mean, pluralize
from prompt_objects.utils.time import now, timestamp

__all__ = [
    "SessionManager",
]

Infos: TypeAlias = list[SessionInfo]  # `list` is a method below
TrashList: TypeAlias = list[TrashedSession]
Templates: TypeAlias = Mapping[str, Sequence[Message]]
_DEFAULT = "Default"
_FEWEST_ASKED = 32


class SessionManager:
    """The sessions of one prompt object, or, without `po_name`, of all.

    With `user_id`, those of that user only. `last_used` remembers which one is current and `journal` what can be
    undone, by default only while this lives; `data_dir` is where what belongs to a session is besides its messages;
    `templates` returns beginnings that a session may be made from.
    A key is an id, the beginning of one (4 characters or more), or a name; methods that take one raise `NotFound`,
    and `Ambiguous` where several sessions answer to it. Methods that take a name raise `InvalidName` and
    `NameTaken`. Whatever writes may raise `StoreError`.
    """

    def __init__(  # noqa: PLR0913 - all but the first two are given by their own names
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
        return SessionManager(
            self.store,
            po_name,
            user_id=self.user_id,
            last_used=self.last_used,
            journal=self.journal,
            data_dir=self.data_dir,
            templates=templates,
        )

    # Finding

    def get(self, key: str) -> Session:
        """Return a session by its id, its name, the beginning of its id, or its name in other capitals."""
        return Session(self.store, self.store.load(self._find(key).id))

    def current(self) -> Session:
        """Return the session that was last used; where there is none, "Default" is made."""
        po_name = self._object()
        last = self.last_used.last_session(po_name)
        session = self._load_if_there(last) if last else None
        session = session or self._newest(po_name) or self._default(po_name)
        self.last_used.use_session(po_name, session.id)
        return session

    def _newest(self, po_name: str) -> Session | None:
        manager = self.for_object(po_name)
        for limit in (1, None):  # all of them only where the newest cannot be opened
            loaded = (self._load_if_there(info.id) for info in manager.list(limit=limit, include_children=False))
            if session := next(filter(None, loaded), None):
                return session
        return None

    def switch(self, key: str) -> Session:
        """Make a session the current one of its prompt object."""
        session = self.get(key)
        self.last_used.use_session(session.po_name, session.id)
        return session

    def open_file(self, path: Path) -> Session:
        """Return the session whose file this is. Raises `UsageError` for a file that is not in the store."""
        session_id = self.store.locate(path)
        if session_id is None:
            raise UsageError(
                f"{path} is not a session file of this environment.",
                hint="Session files are those in its data folder, under sessions/.",
            )
        return self.get(session_id)

    # Making and changing

    def create(  # noqa: PLR0913 - all but the name are given by their own names
        self,
        name: str | None = None,
        *,
        po_name: str | None = None,
        numbered: bool = False,
        template: str | None = None,
        parent: ParentCall | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Session:
        """Begin a session; without a name it is called "Session 2" or the like.

        A name that is taken gets a number where `numbered` allows it. A manager of all sessions has to be told of
        which prompt object. Raises `UsageError` for a template that there is not.
        """
        po_name = self._object(po_name)
        messages = self._template(template)
        if name is None:
            name, numbered = f"Session {len(self._infos(po_name)) + 1}", True
        info = self._begun(valid_name(name), po_name, parent)
        return Session(self.store, self.store.create(info, dict(metadata or {}), messages, unique_name=numbered))

    def draft(self, name: str, *, parent: ParentCall | None = None) -> Session:
        """Return a session that is made with its first message, and not at all if none comes.

        A name that is taken gets a number then.
        """
        return Session(
            self.store, SessionRecord(self._begun(valid_name(name), self._object(), parent), {}), is_draft=True
        )

    def rename(self, key: str, new_name: str) -> Session:
        """Give a session another name."""
        info, name = self._find(key), valid_name(new_name)
        if name == info.name:
            return Session(self.store, self.store.load(info.id))
        with self.journal.recording(_deed("rename", info)):
            return Session(self.store, self.store.update(info.id, name=name))

    def duplicate(self, key: str, new_name: str | None = None) -> Session:
        """Copy a session, messages and metadata, under a new name: "Default copy" if none is given."""
        source = self.get(key)
        return self._copy(source, source.message_count, new_name, "copy", source.metadata)

    def branch(self, key: str, at: int | None = None, new_name: str | None = None) -> Session:
        """Begin a session with the first `at` messages of another one, or all: "Default branch" if no name is given.

        Its metadata says `branched_from` which `session`, and `at` how many messages. Raises `UsageError` where
        there are fewer.
        """
        source = self.get(key)
        at = source.message_count if at is None else _within(at, source.info)
        origin = {"session": source.id, "at": at}
        return self._copy(source, at, new_name, "branch", {**source.metadata, "branched_from": origin})

    def clear(self, key: str) -> Session:
        """Drop all messages of a session, which `undo` brings back; see `truncate`."""
        return self._cut("clear", key, 0)

    def truncate(self, key: str, count: int) -> Session:
        """Keep the first `count` messages of a session; a copy of it as it was goes into the trash.

        Raises `UsageError` where it has fewer, and `Busy` while a turn is going on in it.
        """
        return self._cut("truncate", key, count)

    def archive(self, key: str) -> Session:
        """Keep a session compressed until its next message; it is listed, read and exported as before."""
        return Session(self.store, self.store.archive(self._find(key).id))

    # The trash

    def delete(self, key: str) -> SessionInfo:
        """Move a session, and all that its calls started, to the trash; return what it was.

        `restore` and `undo` bring all of them back.
        """
        info = self._find(key)
        others = tuple(child.id for child in descendants(info.id, self.store.sessions()))
        with self.journal.recording(_deed("delete", info, others=others)):
            self.store.delete(info.id)
        for child in others:
            with suppress(NotFound):
                self.store.delete(child)
        return info

    def trash(self) -> TrashList:
        """Return the deleted sessions, the last deleted first."""
        return [entry for entry in self.store.trash() if self._is_ours(entry.info)]

    def find_trashed(self, key: str | None = None) -> TrashedSession:
        """Return the deleted session that a key means; without one the last deleted, or that with which it went."""
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
        """Bring a session back, the last deleted without a key; its name may have got a number, if it was taken.

        What its calls had started comes along, unless it was deleted before.
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
        """Remove a session from the trash for good, with what its calls had started, or all; return what is gone.

        Raises `Busy`, and nothing is removed, where somebody is at one of them: what is answered there would be lost.
        """
        trash = [entry.info for entry in self.store.trash()]
        ours = [info for info in trash if self._is_ours(info)]
        roots = ours if key is None else [self.find_trashed(key).info]
        doomed = {info.id: info for root in roots for info in (root, *descendants(root.id, trash))}
        for info in doomed.values():
            if holder := self.store.holder(info.id):
                told = f"{info.name} cannot be purged: it is in use by {holder}."
                raise Busy(told, holder=holder, hint="Purge it when that one is done.")
        gone = []
        for info in reversed(doomed.values()):  # what is left, should this be interrupted, has its parent still
            with suppress(NotFound):
                self.store.purge(info.id)
                if self.data_dir and not exists(self.store, info.id):
                    remove_session_files(self.data_dir, info.id)
                gone.append(info)
        return gone[::-1]

    def undo(self) -> UndoResult:
        """Undo what was renamed, cleared, truncated or deleted last; undoing cannot be undone itself.

        Raises `NotFound` where there is nothing to undo, and what `undo_last` raises.
        """
        return undo_last(self.store, self.journal, po_name=self.po_name, user_id=self.user_id)

    # Reading

    def export(self, key: str, format: str = "markdown") -> str:  # noqa: A002  # the word that people use
        """Write a session as one text. Raises `UsageError` for a format that there is not."""
        from prompt_objects.sessions.formats import find_format

        return find_format(format).export(self.get(key))

    # Listing

    def list(self, *, limit: int | None = None, include_children: bool = True) -> Infos:
        """Return what is known of the sessions, the last changed first; opens no history.

        Children are the sessions that a prompt object's call started.
        """
        asked = limit and max(limit, _FEWEST_ASKED)
        while True:  # more and more, as others' may be among them
            found = self.store.sessions(limit=asked)
            infos = [info for info in found if self._is_ours(info) and (include_children or info.parent is None)]
            if asked is None or len(infos) >= (limit or 0) or len(found) < asked:
                return infos[:limit]
            asked *= 2

    # Inside

    def _object(self, po_name: str | None = None) -> str:
        found = po_name or self.po_name or self.last_used.last_object()
        if found is None:
            raise UsageError("It is not clear which prompt object is meant.", hint="Give its name, po_name=….")
        if self.po_name not in (None, found):
            raise UsageError(f"These are the sessions of {self.po_name}; {found} has its own.")
        return found

    def _is_ours(self, info: SessionInfo) -> bool:
        return self.po_name in (None, info.po_name) and self.user_id in (None, info.user_id)

    def _infos(self, po_name: str | None) -> Infos:
        return [info for info in self.store.sessions() if self._is_ours(info) and po_name in (None, info.po_name)]

    def _find(self, key: str) -> SessionInfo:
        key = key.strip()
        session = self._load_if_there(key.lower())
        where = f"of {self.po_name}" if self.po_name else "here"
        return session.info if session else resolve_key(key, self.list(), where)

    def _load_if_there(self, session_id: str) -> Session | None:
        if not is_id(session_id):
            return None
        try:
            session = Session(self.store, self.store.load(session_id))
        except (NotFound, Damaged):  # a damaged one is no reason to be locked out of the others
            return None
        return session if self._is_ours(session.info) else None

    def _default(self, po_name: str) -> Session:
        try:
            return Session(self.store, self.store.create(self._begun(_DEFAULT, po_name, None), {}))
        except NameTaken:  # another process was quicker, or only sessions of calls were there
            return self.for_object(po_name).get(_DEFAULT)

    def _template(self, name: str | None) -> Sequence[Message]:
        if name is None:
            return []
        templates = self._templates()
        if name not in templates:
            nearest = did_you_mean(name, templates)
            there = ", ".join(templates) or "none"
            raise UsageError(f"There is no template {name!r}.", hint=nearest or f"There are: {there}.")
        moment = timestamp()
        return [{**message, "at": moment} for message in templates[name]]

    def _begun(self, name: str, po_name: str, parent: ParentCall | None) -> SessionInfo:
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
        self, source: Session, count: int, name: str | None, addition: str, metadata: Mapping[str, Any]
    ) -> Session:
        if name is None:
            name = unique_name(
                with_suffix(source.name, addition), {info.name for info in self._infos(source.po_name)}
            )
        info = self._begun(valid_name(name), source.po_name, None)
        with self._workspace_for(info, source):
            return Session(self.store, self.store.create(info, dict(metadata), source.page(0, count)))

    def _workspace_for(self, info: SessionInfo, source: Session) -> AbstractContextManager[None]:
        """Have a copy of what belongs to the conversation there, unless the session is not made after all."""
        if self.data_dir is None:
            return nullcontext()
        folder = self.data_dir / "workspace"
        return copied_workspace(workspace_of(source.info, self.store, folder), folder / info.id)

    def _cut(self, operation: Operation, key: str, count: int) -> Session:
        session_id = self._find(key).id
        lease = self.store.lease(session_id, ProcessInfo.current(self.user_id))
        try:
            record = self.store.load(session_id)
            if _within(count, record.info) == record.info.message_count:
                return Session(self.store, record)
            deed = _deed(operation, record.info, kept=count, copy=new_id())
            with self.journal.recording(deed):
                messages = self.store.read(session_id, 0, record.info.message_count)
                copy_to_trash(self.store, record, messages, copy_id=deed.copy, kept=count)
                try:
                    cut = self.store.truncate(session_id, count, expected=record.info.message_count)
                except Conflict:
                    self.store.purge(deed.copy)
                    raise
                return Session(self.store, cut)
        finally:
            lease.release()


def _deed(operation: Operation, info: SessionInfo, **more: Any) -> UndoEntry:
    return UndoEntry(
        operation=operation,
        session=info.id,
        name=info.name,
        po_name=info.po_name,
        user_id=info.user_id,
        at=now(),
        **more,
    )


def _within(number: int, info: SessionInfo) -> int:
    """Return a number of first messages, if the session has so many."""
    if 0 <= number <= info.message_count:
        return number
    raise UsageError(
        f"{info.name!r} cannot be cut at {number:,}: it has {pluralize(info.message_count, 'message')}.",
        hint=f"Give a number from 0 to {info.message_count}.",
    )
