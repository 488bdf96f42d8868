"""One turn from the shell: the answer on standard output, all else on standard error."""

import asyncio
import json
import sys
from argparse import Namespace
from collections.abc import Callable

from prompt_objects.bus import Event, TextDelta
from prompt_objects.cli.opening import open_conversation, open_environment
from prompt_objects.cli.running import run_to_the_end
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
                print(clean(event.text), end="", flush=True)
        else:
            notes.show(event)

    reply = run_to_the_end(_send(environment, po, session, text, show), environment)
    if options.json:
        print(json.dumps(_as_json(reply, po), ensure_ascii=False, indent=2))
    else:
        print("" if streams else reply.text)


async def _send(
    environment: Environment, po: PromptObject, session: Session, text: str, show: Callable[[Event], None]
) -> Reply:
    context = environment.context()
    with environment.bus.subscribe(context.root) as news:
        turn = asyncio.create_task(po.receive(text, context, session))
        turn.add_done_callback(lambda _: news.close())
        try:
            async for event in news:
                show(event)
            return await turn
        finally:
            turn.cancel()
            await asyncio.gather(turn, return_exceptions=True)


def _as_json(reply: Reply, po: PromptObject) -> dict[str, object]:
    """Build what `-p --json` prints: its keys are documented and stay."""
    session = reply.session
    return {
        "object": po.name,
        "session": {"id": session.id, "name": session.name},
        "model": reply.model,
        "text": reply.text,
        "usage": reply.usage.as_json(),
    }
