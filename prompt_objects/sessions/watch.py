"""Watching a session that other processes write to."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Sequence

from msgspec import Struct

from prompt_objects.message import Message
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.lease import ProcessInfo

POLL_SECONDS = 0.25
_SHOWN_FIRST = 10


class SessionChange(Struct, frozen=True):
    """New messages, and the holder if it changed. `number` is the number of the first message, from 1."""

    number: int
    messages: Sequence[Message]
    is_new_holder: bool
    holder: ProcessInfo | None


async def follow(session: Session) -> AsyncGenerator[list[Message], None]:
    """Yield new messages of a session for as long as a process holds it."""
    while True:
        update = await asyncio.to_thread(session.poll)
        if update.messages:
            yield update.messages
        if update.holder is None:
            return
        await asyncio.sleep(POLL_SECONDS)


def poll_forever(session: Session) -> Iterator[SessionChange]:
    """Yield the last messages of a session, then each change; this never ends by itself."""
    last = session.tail(_SHOWN_FIRST)
    yield SessionChange(session.message_count - len(last) + 1, last, is_new_holder=False, holder=None)
    holder = None
    while True:
        update = session.poll()
        number = session.message_count - len(update.messages) + 1
        if update.messages or update.holder != holder:
            yield SessionChange(number, update.messages, update.holder != holder, update.holder)
        holder = update.holder
        time.sleep(POLL_SECONDS)
