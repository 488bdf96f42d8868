"""`prompt-objects sessions watch`: looking on at a session from the shell, message by message."""

import json
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from msgspec import Struct

from prompt_objects.cli.fields import sighting_fields
from prompt_objects.cli.opening import find_session, open_environment
from prompt_objects.cli.streams import flush, note, put, put_json
from prompt_objects.holder import Holder
from prompt_objects.message import Message
from prompt_objects.occupancy import look
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores import Store
from prompt_objects.ui.messages import drawn
from prompt_objects.ui.plain import WIDTH
from prompt_objects.ui.sanitize import clean
from prompt_objects.ui.style import plain

__all__ = ["Change", "run"]

SHOWN_FIRST = 10
LOOK_SECONDS = 0.25


class Change(Struct, frozen=True):
    """Messages that came, the first of them of this `number`; and who is at the session, where that has changed."""

    number: int
    came: Sequence[Message]
    is_new_holder: bool
    holder: Holder | None


def run(options: Namespace) -> None:
    """Print the last messages of a session, then each as it comes; Ctrl-C is how it ends, and no failure."""
    with open_environment(options) as environment, suppress(KeyboardInterrupt):
        session = find_session(environment, options.object, options.key)
        show = _show_json if options.json else _shower(session.po_name)
        for change in _changes(environment.store, session):
            show(change)
            flush()


def _changes(store: Store, session: Session) -> Iterator[Change]:
    last = session.tail(SHOWN_FIRST)
    yield Change(session.message_count - len(last) + 1, last, is_new_holder=False, holder=None)
    holder = None
    while True:
        sight = look(store, session)
        number = session.message_count - len(sight.came) + 1
        if sight.came or sight.holder != holder:
            yield Change(number, sight.came, sight.holder != holder, sight.holder)
        holder = sight.holder
        time.sleep(LOOK_SECONDS)


def _show_json(change: Change) -> None:
    for fields in sighting_fields(change):
        put_json(json.dumps(fields, ensure_ascii=False))


def _shower(po_name: str) -> Callable[[Change], None]:
    def show(change: Change) -> None:
        """Print the messages; who is at it is said beside, before or after what came of it."""
        if change.holder and change.is_new_holder:
            note(f"In use by {change.holder}.")
        if change.came:
            put(clean(plain(drawn(po_name, change.came, WIDTH))))
        if not change.holder and change.is_new_holder:
            flush()
            note("Free.")

    return show
