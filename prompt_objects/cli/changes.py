"""What happens at a session while somebody looks on."""

import time
from collections.abc import Iterator, Sequence

from msgspec import Struct

from prompt_objects.holder import Holder
from prompt_objects.message import Message
from prompt_objects.occupancy import look
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores import Store

__all__ = ["SessionChange", "changes"]

_SHOWN_FIRST = 10
_LOOK_SECONDS = 0.25


class SessionChange(Struct, frozen=True):
    """Messages that came, the first of them of this `number`; and who is at the session, where that has changed."""

    number: int
    came: Sequence[Message]
    is_new_holder: bool
    holder: Holder | None


def changes(store: Store, session: Session) -> Iterator[SessionChange]:
    """Yield the last messages of a session, then, for good, each change as it comes."""
    last = session.tail(_SHOWN_FIRST)
    yield SessionChange(session.message_count - len(last) + 1, last, is_new_holder=False, holder=None)
    holder = None
    while True:
        sight = look(store, session)
        number = session.message_count - len(sight.came) + 1
        if sight.came or sight.holder != holder:
            yield SessionChange(number, sight.came, sight.holder != holder, sight.holder)
        holder = sight.holder
        time.sleep(_LOOK_SECONDS)
