"""`prompt-objects sessions watch`: print the messages of a session while they arrive."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, convert, field

from prompt_objects.cli.command import KEY, OBJECT_FILTER, shell_command
from prompt_objects.cli.json_output import print_json
from prompt_objects.cli.streams import flush, print_err, print_out
from prompt_objects.cli.targets import open_session

if TYPE_CHECKING:
    from prompt_objects.sessions.watch import SessionChange


class HolderJson(Struct):
    """A process that runs a turn in a session."""

    user: str
    pid: int = field(name="process")
    host: str
    since: datetime


class SessionEventJson(Struct, kw_only=True):
    """An event of a watched session."""

    event: Annotated[
        Literal["message", "begun", "ended"],
        Meta(description="a message, or the start or end of a turn in another process"),
    ]
    number: Annotated[int | UnsetType, Meta(description="the number of the message, from 1")] = UNSET
    message: Annotated[dict[str, Any] | UnsetType, Meta(description="the message as it is stored")] = UNSET
    holder: Annotated[HolderJson | UnsetType, Meta(description="the process that starts a turn")] = UNSET


@shell_command("sessions watch", KEY, OBJECT_FILTER, output=SessionEventJson)
def watch(options: Namespace) -> None:
    """Print each message of a session when it arrives, until Ctrl-C.

    `--json` prints one object per line.
    """
    from prompt_objects.sessions.watch import poll_forever

    with open_session(options, reading=True) as (_, session), suppress(KeyboardInterrupt):
        for change in poll_forever(session):
            if options.json:
                for event in _events(change):
                    print_json(event, indent=None)
            else:
                _print_change(session.po_name, change)
            flush()


def _events(change: "SessionChange") -> Iterator[SessionEventJson]:
    if change.is_new_holder and change.holder:
        yield SessionEventJson(event="begun", holder=convert(change.holder, HolderJson, from_attributes=True))
    for number, message in enumerate(change.messages, change.number):
        yield SessionEventJson(event="message", number=number, message=message)
    if change.is_new_holder and not change.holder:
        yield SessionEventJson(event="ended")


def _print_change(po_name: str, change: "SessionChange") -> None:
    """Print the messages, and on standard error the start of a turn before them, or its end after them."""
    from prompt_objects.ui.render.events import WIDTH
    from prompt_objects.ui.render.messages import draw_messages
    from prompt_objects.ui.render.sanitize import clean
    from prompt_objects.ui.render.style import plain

    if change.holder and change.is_new_holder:
        print_err(f"The session is in use by {change.holder}.")
    if change.messages:
        print_out(clean(plain(draw_messages(po_name, change.messages, WIDTH))))
    if not change.holder and change.is_new_holder:
        flush()
        print_err("The session is free.")
