"""Errors that all stores raise, with the same texts."""

from collections.abc import Container, Sequence
from datetime import UTC, datetime

from prompt_objects.errors import Busy, Conflict, NameTaken, NotFound, SessionFull, StoreError, UsageError
from prompt_objects.message import Message
from prompt_objects.sessions.names import is_id, unique_name
from prompt_objects.utils.process import ProcessInfo


def unknown_holder() -> ProcessInfo:
    """Return who is named where it cannot be known."""
    return ProcessInfo(user="somebody", pid=0, host="an unknown machine", since=datetime.now(UTC))


def require_id(session_id: str) -> None:
    """Raise `NotFound` for what cannot be the id of a session."""
    if not is_id(session_id):
        raise NotFound(f"{session_id!r:.60} is not the id of a session.")


def not_found(session_id: str, *, trashed: bool = False) -> NotFound:
    """Say that a session is not there, or not in the trash."""
    if trashed:
        return NotFound(
            f"There is no session {session_id} in the trash.", hint="It may have been restored, or purged."
        )
    return NotFound(
        f"There is no session {session_id} any more.", hint="It may be in the trash, from where it can be restored."
    )


def already_exists(session_id: str) -> StoreError:
    """Say that a session cannot be made, as its id is that of another."""
    return StoreError(f"There is a session {session_id} already.")


def duplicate_id(session_id: str, doing: str) -> UsageError:
    """Say that a session cannot be deleted, or restored, as another of its id is where it would go."""
    return UsageError(
        f"The session {session_id} cannot be {doing}: there is one with this id, and another one in the trash.",
        hint="prompt-objects doctor --repair gives the one in the trash an id of its own.",
    )


def busy(session_id: str, name: str | None, holder: ProcessInfo | None) -> Busy:
    """Say that another has a session to himself; None is for what is not known."""
    what = f'"{name}"' if name else f"The session {session_id}"
    return Busy(
        f"{what} is in use by {holder or 'somebody'}.",
        holder=holder or unknown_holder(),
        hint="Wait until it is free, go on in a branch of it, or look on.",
    )


def conflict(name: object, count: int, expected: int) -> Conflict:
    """Say that a session has `count` messages, where the writer expected another number."""
    added = count - expected
    what = f"{added} messages were added" if added > 0 else f"{-added} messages were taken out"
    return Conflict(
        f"In the session {name!r} {what} by another window or program; nothing was written.",
        hint="Read the session again, then repeat what you did.",
    )


def full(name: object, size: int, limit: int) -> SessionFull:
    """Say that a session has `size` bytes, and with a person's message it would have more than `limit`."""
    return SessionFull(
        f'"{name}" has {size:,} bytes; with this message it would have more than max_session_size, {limit:,} bytes.',
        hint="Begin a new session, go on in a /session branch, cut this one with /session truncate, "
        "or raise max_session_size in environment.yaml.",
    )


def name_taken(name: str, po_name: str, taken: Container[str]) -> NameTaken:
    """Say that another session of the prompt object has the name."""
    return NameTaken(f"{po_name} has a session called {name!r} already.", suggestion=unique_name(name, taken))


def check_size(name: object, size: int, added: int, limit: int | None, messages: Sequence[Message]) -> None:
    """Refuse a person's message that would take a session of `size` bytes beyond the limit; raises `SessionFull`.

    What answers a message that was accepted is never refused.
    """
    is_beyond = limit is not None and size + added > limit
    if is_beyond and any(message.get("role") == "user" for message in messages):
        raise full(name, size, limit or 0)


def too_few_messages(name: object, count: int, wanted: int) -> UsageError:
    """Say that a session cannot be cut to a number of messages that it does not have."""
    return UsageError(f'"{name}" has {count} messages; it cannot be cut to {wanted}.')
