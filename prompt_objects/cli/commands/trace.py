"""`prompt-objects trace`: what happened in a session, as a tree or as JSON."""

import shutil
from argparse import Namespace
from collections.abc import Mapping
from datetime import datetime

from prompt_objects.cli.json_output import session_fields
from prompt_objects.cli.streams import print_out, put_as_json
from prompt_objects.cli.targets import find_session, open_environment
from prompt_objects.trace.model import CallSpan, MessageEvent, NoticeEvent, Totals, Trace, TracedStep, TurnSpan
from prompt_objects.ui.render.events import WIDTH
from prompt_objects.ui.render.sanitize import clean
from prompt_objects.ui.render.style import plain
from prompt_objects.ui.render.trace import draw_trace
from prompt_objects.utils.time import timestamp

__all__ = [
    "run",
    "trace_fields",
]


def run(options: Namespace) -> None:
    """Print the trace of a session, as wide as the terminal is."""
    with open_environment(options) as environment:
        session = find_session(environment, options.object, options.key)
        trace = environment.storage.trace(session.id)
    if options.json:
        put_as_json(trace_fields(trace))
    else:
        columns, _ = shutil.get_terminal_size((WIDTH + 1, 0))
        print_out(clean(plain(draw_trace(trace, columns - 1))))


def trace_fields(trace: Trace) -> dict[str, object]:
    """Build what is printed of a trace; docs/trace.md says what the keys mean, and they stay."""
    return {
        "session": session_fields(trace.session),
        "turns": [_turn(turn) for turn in trace.turns],
        "own": _took(trace.own),
        "inclusive": _took(trace.inclusive),
    }


def _turn(turn: TurnSpan) -> dict[str, object]:
    session = turn.session
    return {
        "run": turn.run,
        "parent": turn.parent,
        "object": session.po_name,
        "asker": turn.asker,
        "session": {"id": session.id, "name": session.name},
        "started_at": _moment(turn.started_at),
        "ended_at": _moment(turn.ended_at),
        "seconds": turn.seconds,
        "outcome": turn.outcome,
        "error": turn.error,
        "own": _took(turn.own),
        "inclusive": _took(turn.inclusive),
        "steps": [_step(step) for step in turn.steps],
    }


def _step(step: TracedStep) -> Mapping[str, object]:
    match step:
        case MessageEvent():
            return _message(step)
        case CallSpan():
            return _call(step)
        case NoticeEvent():
            return {"kind": "notice", "at": _moment(step.at), "text": step.text}


def _message(message: MessageEvent) -> dict[str, object]:
    return {
        "kind": "message",
        "at": _moment(message.at),
        "role": message.role,
        "text": message.text,
        "size": message.size,
        "model": message.model,
        "interrupted": message.interrupted,
        "took": _took(message.took) if message.took else None,
    }


def _call(call: CallSpan) -> dict[str, object]:
    return {
        "kind": "call",
        "id": call.id,
        "name": call.name,
        "at": _moment(call.at),
        "arguments": call.arguments,
        "started_at": _moment(call.started_at),
        "ended_at": _moment(call.ended_at),
        "seconds": call.seconds,
        "outcome": call.outcome,
        "result": call.result,
        "size": call.size,
        "turns": [_turn(turn) for turn in call.turns],
    }


def _took(took: Totals) -> dict[str, object]:
    return {"answers": took.answers, **took.usage.as_json(), "cost": took.usage.cost}


def _moment(moment: datetime | None) -> str | None:
    return timestamp(moment) if moment else None
