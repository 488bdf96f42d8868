"""One turn from the shell: the reply goes to standard output, everything else to standard error."""

import asyncio
import sys
from argparse import Namespace
from contextlib import aclosing
from typing import Annotated

from msgspec import Meta, Struct

from prompt_objects.cli.json_output import SessionRefJson, print_json
from prompt_objects.cli.streams import ReaderGone, flush, print_err, print_out, stop_without_reader
from prompt_objects.environment.environment import Environment
from prompt_objects.environment.prompt_object import PromptObject
from prompt_objects.errors import Busy
from prompt_objects.runtime.events import TextDelta
from prompt_objects.sessions.session import Session
from prompt_objects.turns.reply import Reply
from prompt_objects.ui.render.events import progress_line
from prompt_objects.ui.render.sanitize import clean


class UsageJson(Struct):
    """The tokens of a reply."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


class ReplyJson(Struct):
    """A reply."""

    object: Annotated[str, Meta(description="the prompt object that replied")]
    session: SessionRefJson
    model: Annotated[str, Meta(description="the model that wrote it")]
    text: str
    usage: UsageJson
    interrupted: Annotated[str | None, Meta(description="why the reply was cut off; null if it is complete")]
    saved: Annotated[bool, Meta(description="whether it is in the session; if not, the command fails")]


async def send(environment: Environment, po: PromptObject, session: Session, text: str, options: Namespace) -> Reply:
    """Send a message; wait or branch if the session is in use. Raises `Busy` and the errors of a turn.

    Without a model, raises `UsageError`: in a script, the rehearsal could be mistaken for one.
    """

    async def run_turn(session: Session, wait: float | None = 0) -> Reply:
        context = environment.context()
        turn = asyncio.create_task(po.receive(text, context, session, wait=wait))
        async with aclosing(environment.bus.events_of(turn, context.root)) as events:
            async for event in events:
                if line := progress_line(event):
                    print_err(line)
                elif _is_streamed(options) and isinstance(event, TextDelta) and event.depth == 0:
                    print_out(clean(event.text), end="")
                    flush()
        return await turn

    await asyncio.to_thread(environment.models.require_model, po.definition)
    try:
        return await run_turn(session)
    except Busy as busy:
        if options.wait != 0:
            print_err(f"{busy} Waiting.")
        elif not options.branch:
            raise _with_hint(busy, session) from None
    try:
        return await run_turn(session, options.wait)
    except Busy as busy:
        if not options.branch:
            raise _with_hint(busy, session) from None
        copy = await asyncio.to_thread(po.session_manager.branch_before_pending, session)
        po.session_manager.switch(copy.id)
        print_err(f"{busy} Continuing in: {copy.name}")
        return await run_turn(copy)


async def send_while_read(
    environment: Environment, po: PromptObject, session: Session, text: str, options: Namespace
) -> Reply:
    """Call `send`; stop it, and raise `ReaderGone`, if the program that reads standard output goes away."""
    with stop_without_reader(asyncio.current_task()) as reader:
        try:
            return await send(environment, po, session, text, options)
        except asyncio.CancelledError:
            if reader.is_gone:
                print_err("Stopped: nobody reads the output any more. What had arrived is in the session.")
                raise ReaderGone from None
            raise


def print_reply(reply: Reply, options: Namespace, *, saved: bool = True) -> None:
    """Print the reply, or only its end if it was shown while it arrived."""
    if options.json:
        session, usage = reply.session, reply.usage
        tokens = UsageJson(usage.prompt, usage.completion, usage.cached)
        reference = SessionRefJson(session.id, session.name)
        print_json(ReplyJson(session.po_name, reference, reply.model, reply.text, tokens, reply.interrupted, saved))
    else:
        print_out("" if _is_streamed(options) else reply.text)


def _is_streamed(options: Namespace) -> bool:
    return sys.stdout.isatty() and not options.json


def _with_hint(busy: Busy, session: Session) -> Busy:
    busy.hint = (
        "Nothing was sent. --wait sends it when the session is free, --branch in a branch of it. "
        f"To watch the session: prompt-objects sessions watch {session.id}"
    )
    return busy
