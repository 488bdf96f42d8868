"""The errors that all stores raise, and the checks before a change."""

from collections.abc import Container, Sequence

from prompt_objects.errors import Busy, Conflict, NameTaken, NotFound, SessionFull, StoreError, UsageError
from prompt_objects.message import Message
from prompt_objects.sessions.names import unique_name
from prompt_objects.sessions.stores.lease import ProcessInfo
from prompt_objects.utils.text import pluralize, quoted


def not_found(session_id: str, *, trashed: bool = False) -> NotFound:
    """Return the error for a session that does not exist, or is not in the trash."""
    if trashed:
        return NotFound(
            f"There is no session {session_id} in the trash.", hint="It may have been restored, or purged."
        )
    return NotFound(
        f"Session {session_id} does not exist.", hint="If it was deleted, it can be restored from the trash."
    )


def already_exists(session_id: str) -> StoreError:
    """Return the error for a new session with the id of another."""
    return StoreError(f"Session {session_id} already exists.")


def duplicate_id(session_id: str, doing: str) -> UsageError:
    """Return the error for a session with the same id as one in the trash; `doing` is "deleted" or "restored"."""
    return UsageError(
        f"The session {session_id} cannot be {doing}: there is one with this id, and another one in the trash.",
        hint="prompt-objects doctor --repair gives the one in the trash an id of its own.",
    )


def busy(session_id: str, name: str | None, holder: ProcessInfo | None) -> Busy:
    """Return the error for a session with a lease; None if the name or the holder is not known."""
    what = f'"{name}"' if name else f"The session {session_id}"
    return Busy(
        f"{what} is in use by {holder or 'another process'}.",
        holder=holder or ProcessInfo.unknown(),
        hint="Wait until it is free, continue in a branch, or watch it.",
    )


def conflict(name: object, count: int, expected: int) -> Conflict:
    """Return the error for a session of `count` messages, if the writer expected another number."""
    added = count - expected
    what = f"{added} messages were added" if added > 0 else f"{-added} messages were removed"
    return Conflict(
        f"In the session {quoted(str(name))} {what} by another process; nothing was written.",
        hint="Read the session again, then repeat what you did.",
    )


def full(name: object, size: int, limit: int) -> SessionFull:
    """Return the error for a session of `size` bytes that one more message would make larger than `limit`."""
    return SessionFull(
        f'"{name}" has {size:,} bytes; with this message it would have more than max_session_size, {limit:,} bytes.',
        hint="Start a new session, branch this one (/session branch), truncate it (/session truncate), "
        "or raise max_session_size in environment.yaml.",
    )


def name_taken(name: str, po_name: str, taken: Container[str]) -> NameTaken:
    """Return the error for a name that another session of the prompt object has."""
    return NameTaken(f"{po_name} already has a session {quoted(name)}.", suggestion=unique_name(name, taken))


def check_size(name: object, size: int, added: int, limit: int | None, messages: Sequence[Message]) -> None:
    """Raise `SessionFull` if a message of the user would make a session of `size` bytes larger than the limit.

    Responses to a message that was accepted are never refused.
    """
    is_beyond = limit is not None and size + added > limit
    if is_beyond and any(message.get("role") == "user" for message in messages):
        raise full(name, size, limit or 0)


def check_truncation(name: object, count: int, wanted: int, expected: int | None) -> None:
    """Raise `Conflict` if a session of `count` messages is not as expected, `UsageError` if it has too few."""
    if expected is not None and expected != count:
        raise conflict(name, count, expected)
    check_count(name, count, wanted)


def check_count(name: object, count: int, wanted: int) -> None:
    """Raise `UsageError` if a session of `count` messages has fewer than are wanted."""
    if not 0 <= wanted <= count:
        problem = (
            f"{pluralize(wanted, 'message')} cannot be kept: {quoted(str(name))} has {pluralize(count, 'message')}."
        )
        raise UsageError(problem, hint=f"Give a number from 0 to {count}.")
