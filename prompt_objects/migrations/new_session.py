"""Idempotent creation of a session from a history that was kept elsewhere."""

from collections.abc import Iterable
from contextlib import suppress

from prompt_objects.errors import Damaged, NotFound
from prompt_objects.message import Message
from prompt_objects.migrations.change import NewSession
from prompt_objects.sessions.info import SessionInfo
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.base import SessionFilter, Store


def ensure_session(session: NewSession, session_id: str, sessions: SessionManager) -> None:
    """Create the session, under a numbered name if its name is taken; complete it if it exists but is not whole.

    A session of the same history counts as existing, whichever run created it.
    """
    store = sessions.store
    found = _find_existing(session, session_id, store)
    if found is None:
        _create(session, session_id, sessions)
    elif found.message_count < len(session.messages):
        store.append(found.id, session.messages[found.message_count :], expected=found.message_count)


def remove_session(session_id: str, store: Store) -> None:
    """Undo `ensure_session`, permanently; does nothing if the session does not exist."""
    with suppress(NotFound):
        store.delete(session_id)
    with suppress(NotFound):
        store.purge(session_id)


def _find_existing(session: NewSession, session_id: str, store: Store) -> SessionInfo | None:
    with suppress(NotFound):
        return store.load(session_id).info
    alike = store.list(SessionFilter(po_name=session.po_name))
    named = (info for info in alike if info.name.startswith(session.name))
    return next((info for info in named if _is_same_history(info, session, store)), None)


def _is_same_history(info: SessionInfo, session: NewSession, store: Store) -> bool:
    """Return whether a session was made from the same history and still starts with it."""
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


def _create(session: NewSession, session_id: str, sessions: SessionManager) -> None:
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
    sessions.store.create(info, metadata, session.messages, unique_name=True)
