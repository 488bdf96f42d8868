"""Watching a session that another turn holds, and branching off it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Sequence

from msgspec import Struct

from prompt_objects.message import Message, calls_of
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import Store
from prompt_objects.utils.process import ProcessInfo

__all__ = [
    "SessionChange",
    "SessionUpdate",
    "branch_before_pending",
    "follow",
    "poll",
    "poll_forever",
]

WATCH_SECONDS = 0.25


class SessionUpdate(Struct, frozen=True):
    """What is seen of a session: what others added since it was last looked at here, and who is at it."""

    came: list[Message]
    holder: ProcessInfo | None


def poll(store: Store, session: Session) -> SessionUpdate:
    """Look at a session once; raises what `Session.refresh` raises."""
    holder = store.holder(session.id)  # before: whoever is gone by now has written all that there is to come
    return SessionUpdate(session.refresh(), holder)


async def follow(store: Store, session: Session) -> AsyncGenerator[list[Message], None]:
    """Yield the messages that come while somebody is at a session, until nobody is."""
    while True:
        sight = await asyncio.to_thread(poll, store, session)
        if sight.came:
            yield sight.came
        if sight.holder is None:
            return
        await asyncio.sleep(WATCH_SECONDS)


def branch_before_pending(manager: SessionManager, session: Session) -> Session:
    """Branch off a session that somebody is at, before the message that is being answered, if one is."""
    session.refresh()
    return manager.branch(session.id, _answered(session))


def _answered(session: Session) -> int:
    """Return how many messages there are before one that has no answer yet."""
    count = session.message_count
    if not count or _is_answer(session.tail(1)[0]):
        return count
    asked = [number for number, message in enumerate(session.history) if message.get("role") == "user"]
    return asked[-1] if asked else count


def _is_answer(message: Message) -> bool:
    return message.get("role") == "assistant" and not calls_of(message)


_SHOWN_FIRST = 10
_LOOK_SECONDS = 0.25


class SessionChange(Struct, frozen=True):
    """Messages that came, the first of them of this `number`; and who is at the session, where that has changed."""

    number: int
    came: Sequence[Message]
    is_new_holder: bool
    holder: ProcessInfo | None


def poll_forever(store: Store, session: Session) -> Iterator[SessionChange]:
    """Yield the last messages of a session, then, for good, each change as it comes."""
    last = session.tail(_SHOWN_FIRST)
    yield SessionChange(session.message_count - len(last) + 1, last, is_new_holder=False, holder=None)
    holder = None
    while True:
        sight = poll(store, session)
        number = session.message_count - len(sight.came) + 1
        if sight.came or sight.holder != holder:
            yield SessionChange(number, sight.came, sight.holder != holder, sight.holder)
        holder = sight.holder
        time.sleep(_LOOK_SECONDS)
