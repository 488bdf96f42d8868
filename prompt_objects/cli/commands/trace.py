"""`prompt-objects trace`: print what happened in a session, as a tree or as JSON."""

import shutil
from argparse import Namespace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from prompt_objects.cli.command import KEY, OBJECT_FILTER, shell_command
from prompt_objects.cli.json_output import SessionJson, SessionRefJson, as_json, print_json, session_json
from prompt_objects.cli.streams import print_out
from prompt_objects.cli.targets import open_session

if TYPE_CHECKING:
    from prompt_objects.trace.model import Totals, TracedStep, TurnSpan


class TotalsJson(Struct):
    """Responses, tokens and cost."""

    responses: Annotated[int, Meta(description="the number of responses of models")]
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: Annotated[int, Meta(description="part of the prompt tokens")]
    cost: Annotated[float | None, Meta(description="in US dollars; null if no price is known")]


class MessageJson(Struct, tag="message", tag_field="kind"):
    """A message in a turn."""

    at: datetime | None
    role: str
    text: Annotated[str | None, Meta(description="null if the message is no longer in the session")]
    size: Annotated[int, Meta(description="in bytes")]
    model: Annotated[str | None, Meta(description="the model, if it is a response")]
    interrupted: Annotated[str | None, Meta(description="the reason, if it is an incomplete response")]
    took: Annotated[TotalsJson | None, Meta(description="if it is a response")]
    call: Annotated[str | None, Meta(description="the id of the call that an approval or a question belongs to")]
    read_at: Annotated[datetime | None, Meta(description="when a turn read a message that was sent during it")]


class CallJson(Struct, tag="call", tag_field="kind"):
    """A tool call in a turn."""

    id: str
    name: Annotated[str, Meta(description="the tool or prompt object")]
    at: Annotated[datetime | None, Meta(description="the time of the model's request")]
    arguments: Annotated[str | None, Meta(description="as the model wrote them")]
    started_at: datetime | None
    ended_at: datetime | None
    seconds: float | None
    outcome: Literal["done", "failed"] | None
    result: str | None
    size: Annotated[int | None, Meta(description="of the result, in bytes")]
    grant: Annotated[str | None, Meta(description="why it ran without the approval that such calls usually need")]
    turns: "Annotated[list[TurnJson], Meta(description='the turns that the call started')]"


class NoticeJson(Struct, tag="notice", tag_field="kind"):
    """A notice to the user in a turn."""

    at: datetime | None
    text: str


StepJson: TypeAlias = MessageJson | CallJson | NoticeJson


class TurnJson(Struct):
    """A turn."""

    run: Annotated[str | None, Meta(description="its id; null if only its messages are known")]
    parent: Annotated[str | None, Meta(description="the id of the calling turn")]
    object: Annotated[str, Meta(description="the prompt object")]
    asker: Annotated[str | None, Meta(description="the prompt object that asked; null for a user or a program")]
    session: SessionRefJson
    started_at: datetime | None
    ended_at: datetime | None
    seconds: float | None
    outcome: Annotated[
        Literal["answered", "cancelled", "failed"] | None, Meta(description="null if it has not ended")
    ]
    error: Annotated[str, Meta(description="the error if it failed, otherwise empty")]
    own: TotalsJson
    inclusive: Annotated[TotalsJson, Meta(description="including delegates")]
    steps: Annotated[list[StepJson], Meta(description="in order; `kind` is `message`, `call` or `notice`")]


class TraceJson(Struct):
    """A trace."""

    session: SessionJson
    turns: Annotated[list[TurnJson], Meta(description="in the order in which they started")]
    own: Annotated[TotalsJson, Meta(description="of the session's own turns")]
    inclusive: Annotated[TotalsJson, Meta(description="including delegates")]


@shell_command("trace", KEY, OBJECT_FILTER, output=TraceJson)
def trace(options: Namespace) -> None:
    """Show what happened in a session: messages, calls, times, tokens and cost."""
    from prompt_objects.ui.render.events import WIDTH
    from prompt_objects.ui.render.sanitize import clean
    from prompt_objects.ui.render.style import plain
    from prompt_objects.ui.render.trace import draw_trace

    with open_session(options, reading=True) as (environment, session):
        found = environment.storage.trace(session.id)
    if options.json:
        turns = [_turn(turn) for turn in found.turns]
        print_json(TraceJson(session_json(found.session), turns, _totals(found.own), _totals(found.inclusive)))
    else:
        columns, _ = shutil.get_terminal_size((WIDTH + 1, 0))
        print_out(clean(plain(draw_trace(found, columns - 1))))


def _turn(turn: "TurnSpan") -> TurnJson:
    return as_json(
        TurnJson,
        turn,
        object=turn.session.po_name,
        asker=turn.caller,
        session=SessionRefJson(turn.session.id, turn.session.name),
        own=_totals(turn.own),
        inclusive=_totals(turn.inclusive),
        steps=[_step(step) for step in turn.steps],
    )


def _step(step: "TracedStep") -> StepJson:
    from prompt_objects.trace.model import CallSpan, MessageEvent

    if isinstance(step, MessageEvent):
        return as_json(MessageJson, step, took=_totals(step.totals) if step.totals else None)
    if isinstance(step, CallSpan):
        return as_json(CallJson, step, turns=[_turn(turn) for turn in step.turns])
    return NoticeJson(step.at, step.text)


def _totals(totals: "Totals") -> TotalsJson:
    usage = totals.usage
    return TotalsJson(totals.responses, usage.prompt, usage.completion, usage.cached, usage.cost)
