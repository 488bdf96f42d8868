"""One turn from the shell: the answer on standard output, all else on standard error."""

import asyncio
import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import aclosing

from prompt_objects.cli.event_loop import run_uninterrupted
from prompt_objects.cli.json_output import reply_fields
from prompt_objects.cli.streams import flush, print_err, print_out, put_as_json
from prompt_objects.cli.targets import open_conversation, open_environment
from prompt_objects.environment.environment import Environment, PromptObject
from prompt_objects.errors import Busy
from prompt_objects.runtime.events import Event, TextDelta
from prompt_objects.sessions.session import Session
from prompt_objects.turns.turn import Reply
from prompt_objects.ui.render.events import ProgressLines
from prompt_objects.ui.render.sanitize import clean

__all__ = [
    "run",
]


def run(options: Namespace, text: str) -> None:
    """Send `text` and print the answer: in a terminal as it comes, elsewhere whole, or as one JSON object."""
    environment = open_environment(options)
    po, session = open_conversation(options, environment)
    streams = sys.stdout.isatty() and not options.json
    notes = ProgressLines(sys.stderr)

    def show(event: Event) -> None:
        if isinstance(event, TextDelta) and event.depth == 0:
            if streams:
                print_out(clean(event.text), end="")
                flush()
        else:
            notes.show(event)

    sender = _Sender(environment, po, text, show)
    reply = run_uninterrupted(sender.send(session, options.wait, branch=options.branch), environment)
    for notice in environment.storage.take_notices():
        print_err(notice)
    if options.json:
        put_as_json(reply_fields(reply, po.name))
    else:
        print_out("" if streams else reply.text)


class _Sender:
    """Sends a text to a prompt object, in a session that another may be at."""

    def __init__(self, environment: Environment, po: PromptObject, text: str, show: Callable[[Event], None]) -> None:
        self._environment = environment
        self._po = po
        self._text = text
        self._show = show

    async def send(self, session: Session, wait: float | None, *, branch: bool) -> Reply:
        """Send it now, or when the session is free, or else in a branch; raises `Busy` and all that a turn does."""
        try:
            return await self._turn(session)
        except Busy as busy:
            if wait != 0:
                print_err(f"{busy} Waiting.")
            elif not branch:
                raise _with_hint(busy, session) from None
        try:
            return await self._turn(session, wait)
        except Busy as busy:
            if not branch:
                raise _with_hint(busy, session) from None
            copy = await asyncio.to_thread(self._po.session_manager.branch_before_pending, session)
            self._po.session_manager.switch(copy.id)
            print_err(f"{busy} Going on in: {copy.name}")
            return await self._turn(copy)

    async def _turn(self, session: Session, wait: float | None = 0) -> Reply:
        context = self._environment.context()
        turn = asyncio.create_task(self._po.receive(self._text, context, session, wait=wait))
        async with aclosing(self._environment.bus.events_of(turn, context.root)) as events:
            async for event in events:
                self._show(event)
        return await turn


def _with_hint(busy: Busy, session: Session) -> Busy:
    busy.hint = (
        "Nothing was sent. --wait sends it when the session is free, --branch in a copy of it; "
        f"look on with: prompt-objects sessions watch {session.id}"
    )
    return busy
