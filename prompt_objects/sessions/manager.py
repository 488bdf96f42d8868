"""SessionManager: how a person, or a program, gets at sessions by their names."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from prompt_objects.errors import Ambiguous, Damaged, NameTaken, NotFound, UsageError
from prompt_objects.message import Message, now, timestamp
from prompt_objects.sessions.last_used import LastUsed
from prompt_objects.sessions.names import LONGEST_NAME, free_name, is_id, valid_name
from prompt_objects.sessions.record import Parent, SessionInfo, Trashed, new_id
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores import Store
from prompt_objects.spelling import did_you_mean
from prompt_objects.wording import ago, count

__all__ = ["SessionManager"]

Infos: TypeAlias = list[SessionInfo]  # `list` is a method below
TrashList: TypeAlias = list[Trashed]
Templates: TypeAlias = Mapping[str, Sequence[Message]]

_DEFAULT = "Default"
_SHORTEST_PREFIX = 4


class SessionManager:
    """The sessions of one prompt object, or, without `po_name`, of all.

    With `user_id`, those of that user only. `last_used` remembers which one is current, by default only while this
    lives; `templates` returns beginnings that a session may be made from.
    A key is an id, the beginning of one (4 characters or more), or a name; methods that take one raise `NotFound`,
    and `Ambiguous` where several sessions answer to it. Methods that take a name raise `InvalidName` and
    `NameTaken`. Whatever writes may raise `StoreError`.
    """

    def __init__(
        self,
        store: Store,
        po_name: str | None = None,
        *,
        user_id: str | None = None,
        last_used: LastUsed | None = None,
        templates: Callable[[], Templates] = dict,
    ) -> None:
        self.store = store
        self.po_name = po_name
        self.user_id = user_id
        self.last_used = last_used or LastUsed()
        self._templates = templates

    def for_object(self, po_name: str, *, templates: Callable[[], Templates] = dict) -> "SessionManager":
        """Return the manager of one prompt object's sessions."""
        return SessionManager(
            self.store, po_name, user_id=self.user_id, last_used=self.last_used, templates=templates
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
        infos = self.for_object(po_name).list(include_children=False)
        loaded = (self._load_if_there(info.id) for info in infos)
        return next((session for session in loaded if session), None)

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
        parent: Parent | None = None,
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
        name = valid_name(name)
        while True:
            try:
                return self._create(name, po_name, parent, metadata, messages)
            except NameTaken as error:
                if not numbered:
                    raise
                name = error.suggestion

    def rename(self, key: str, new_name: str) -> Session:
        """Give a session another name."""
        return Session(self.store, self.store.update(self._find(key).id, name=valid_name(new_name)))

    def duplicate(self, key: str, new_name: str | None = None) -> Session:
        """Copy a session, messages and metadata, under a new name: "Default copy" if none is given."""
        source = self.get(key)
        if new_name is None:
            taken = {info.name for info in self._infos(source.po_name)}
            new_name = free_name(f"{source.name[: LONGEST_NAME - 5].rstrip()} copy", taken)
        name = valid_name(new_name)
        return self._create(name, source.po_name, None, source.metadata, source.history)

    def delete(self, key: str) -> SessionInfo:
        """Move a session to the trash, from where `restore` brings it back; return what it was."""
        info = self._find(key)
        self.store.delete(info.id)
        return info

    def restore(self, key: str | None = None) -> Session:
        """Bring a session back, the last deleted without a key; its name may have got a number, if it was taken."""
        trashed = [entry.info for entry in self.trash()]
        if not trashed:
            raise NotFound("The trash is empty.")
        info = trashed[0] if key is None else _pick(key, trashed, "in the trash")
        return Session(self.store, self.store.restore(info.id))

    def export(self, key: str, format: str = "markdown") -> str:  # noqa: A002  # the word that people use
        """Write a session as one text. Raises `UsageError` for a format that there is not."""
        from prompt_objects.sessions.formats import exporter

        return exporter(format)(self.get(key))

    # Listing

    def trash(self) -> TrashList:
        """Return the deleted sessions, the last deleted first."""
        return [entry for entry in self.store.trash() if self._is_ours(entry.info)]

    def list(self, *, limit: int | None = None, include_children: bool = True) -> Infos:
        """Return what is known of the sessions, the last changed first; opens no history.

        Children are the sessions that a prompt object's call started.
        """
        infos = [info for info in self._infos(self.po_name) if include_children or info.parent is None]
        infos.sort(key=lambda info: (info.updated_at, info.id), reverse=True)
        return infos[:limit]

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
        return session.info if session else _pick(key, self.list(), where)

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
            return self._create(_DEFAULT, po_name, None, None, [])
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

    def _create(
        self,
        name: str,
        po_name: str,
        parent: Parent | None,
        metadata: Mapping[str, Any] | None,
        messages: Sequence[Message],
    ) -> Session:
        moment = now()
        info = SessionInfo(
            id=new_id(),
            name=name,
            po_name=po_name,
            message_count=len(messages),
            created_at=moment,
            updated_at=moment,
            user_id=self.user_id,
            parent=parent,
        )
        return Session(self.store, self.store.create(info, dict(metadata or {}), messages))


def _pick(key: str, infos: Infos, where: str) -> SessionInfo:
    """Choose the one session that a key means: a whole name, the beginning of an id, a name in any capitals."""
    folded = key.casefold()
    is_prefix = len(key) >= _SHORTEST_PREFIX
    for found in (
        [info for info in infos if key in (info.name, info.id)],
        [info for info in infos if is_prefix and info.id.startswith(key.lower())],
        [info for info in infos if info.name.casefold() == folded],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            candidates = [_described(info, _short_id(info, infos)) for info in found]
            raise Ambiguous(
                f"{key!r} may mean any of {len(found)} sessions.",
                candidates=candidates,
                hint="Use the beginning of an id:\n" + "\n".join(candidates[:10]),
            )
    nearest = did_you_mean(key, (info.name for info in infos))
    raise NotFound(f"There is no session {key!r} {where}.", hint=nearest)


def _short_id(info: SessionInfo, infos: Infos) -> str:
    """Return the beginning of an id that no other one shares, at least 8 characters of it."""
    others = [other.id for other in infos if other.id != info.id]
    length = 8
    while any(other.startswith(info.id[:length]) for other in others):
        length += 1
    return info.id[:length]


def _described(info: SessionInfo, short_id: str) -> str:
    messages = count(info.message_count, "message")
    return f"{short_id} {info.name} of {info.po_name}, {messages}, {ago(info.updated_at)}"
