"""One turn from the shell: the answer on standard output, all else on standard error."""

import asyncio
import json
import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import aclosing

from prompt_objects.bus import Event, TextDelta
from prompt_objects.cli.fields import reply_fields
from prompt_objects.cli.opening import open_conversation, open_environment
from prompt_objects.cli.running import run_to_the_end
from prompt_objects.cli.streams import flush, note, put, put_json
from prompt_objects.environment import Environment
from prompt_objects.prompt_object import PromptObject
from prompt_objects.sessions.session import Session
from prompt_objects.turn import Reply
from prompt_objects.ui.plain import Notes
from prompt_objects.ui.sanitize import clean

__all__ = ["run"]


def run(options: Namespace, text: str) -> None:
    """Send `text` and print the answer: in a terminal as it comes, elsewhere whole, or as one JSON object."""
    environment = open_environment(options)
    po, session = open_conversation(options, environment)
    streams = sys.stdout.isatty() and not options.json
    notes = Notes(sys.stderr)

    def show(event: Event) -> None:
        if isinstance(event, TextDelta) and event.depth == 0:
            if streams:
                put(clean(event.text), end="")
                flush()
        else:
            notes.show(event)

    reply = run_to_the_end(_send(environment, po, session, text, show), environment)
    for notice in environment.store.notices():
        note(notice)
    if options.json:
        put_json(json.dumps(reply_fields(reply, po.name), ensure_ascii=False, indent=2))
    else:
        put("" if streams else reply.text)


async def _send(
    environment: Environment, po: PromptObject, session: Session, text: str, show: Callable[[Event], None]
) -> Reply:
    context = environment.context()
    turn = asyncio.create_task(po.receive(text, context, session))
    async with aclosing(environment.bus.follow(turn, context.root)) as events:
        async for event in events:
            show(event)
    return await turn
