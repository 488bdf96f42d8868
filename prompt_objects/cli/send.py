"""One turn from the shell: the answer goes to standard output, everything else to standard error."""

import asyncio
import sys
from argparse import Namespace
from contextlib import aclosing
from typing import Annotated

from msgspec import Meta, Struct

from prompt_objects.cli.json_output import SessionRefJson, print_json
from prompt_objects.cli.streams import flush, print_err, print_out
from prompt_objects.environment.environment import Environment, PromptObject
from prompt_objects.errors import Busy
from prompt_objects.runtime.events import TextDelta
from prompt_objects.sessions.session import Session
from prompt_objects.turns.turn import Reply
from prompt_objects.ui.render.events import progress_line
from prompt_objects.ui.render.sanitize import clean


class UsageJson(Struct):
    """The tokens of an answer."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


class ReplyJson(Struct):
    """An answer."""

    object: Annotated[str, Meta(description="the prompt object that answered")]
    session: SessionRefJson
    model: Annotated[str, Meta(description="the model that answered")]
    text: str
    usage: UsageJson


class Sender:
    """Sends a message to a prompt object; a terminal shows the answer while it arrives."""

    def __init__(self, environment: Environment, po: PromptObject, text: str, options: Namespace) -> None:
        self._environment = environment
        self._po = po
        self._text = text
        self._options = options
        self._is_streaming = sys.stdout.isatty() and not options.json

    async def send(self, session: Session) -> Reply:
        """Send the message; wait or branch if the session is in use. Raises `Busy` and the errors of a turn."""
        wait, branch = self._options.wait, self._options.branch
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
            print_err(f"{busy} Continuing in: {copy.name}")
            return await self._turn(copy)

    def print_reply(self, reply: Reply) -> None:
        """Print what is not shown yet: the answer, or only its end, and the notices."""
        for notice in self._environment.take_notices():
            print_err(notice)
        if self._options.json:
            session, usage = reply.session, reply.usage
            tokens = UsageJson(usage.prompt, usage.completion, usage.cached)
            reference = SessionRefJson(session.id, session.name)
            print_json(ReplyJson(self._po.name, reference, reply.model, reply.text, tokens))
        else:
            print_out("" if self._is_streaming else reply.text)

    async def _turn(self, session: Session, wait: float | None = 0) -> Reply:
        context = self._environment.context()
        turn = asyncio.create_task(self._po.receive(self._text, context, session, wait=wait))
        async with aclosing(self._environment.bus.events_of(turn, context.root)) as events:
            async for event in events:
                if line := progress_line(event):
                    print_err(line)
                elif self._is_streaming and isinstance(event, TextDelta) and event.depth == 0:
                    print_out(clean(event.text), end="")
                    flush()
        return await turn


def _with_hint(busy: Busy, session: Session) -> Busy:
    busy.hint = (
        "Nothing was sent. --wait sends it when the session is free, --branch in a branch of it. "
        f"To watch the session: prompt-objects sessions watch {session.id}"
    )
    return busy
