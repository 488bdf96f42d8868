"""A trace, drawn: the turns of a session, and below each call the turns that it started."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from prompt_objects.trace.model import CallSpan, MessageEvent, NoticeEvent, Totals, Trace, TurnSpan
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.render.text import (
    BAR,
    call_line,
    cell_width,
    error_lines,
    fit,
    format_bytes,
    format_duration,
    indent_by_depth,
    paragraph,
)
from prompt_objects.utils.text import pluralize

WIDE = 110
"""From this width on, each answer has its time, model and tokens beside it."""
MIN_WIDTH = 30
"""Turns are indented only while they keep this width."""
_GAP = " · "
_ROLES = {
    "user": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
    "assistant": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}",
}


def draw_trace(trace: Trace, width: int) -> list[Line]:
    """Draw a trace; on a narrow screen details are cut or left out."""
    session = trace.session
    head = [session.name, f"of {session.po_name}", session.id, pluralize(len(trace.turns), "turn")]
    lines = _packed([*head, *_totals(trace.own, trace.inclusive)], width, "class:title")
    for turn in trace.turns:
        lines += [[], *_turn(turn, width, "%Y-%m-%d %H:%M:%S")]
    return lines


def format_time(moment: datetime | None, form: str = "%H:%M:%S") -> str:
    """Format a time in the local time zone; an unknown one is empty."""
    return moment.astimezone().strftime(form) if moment else ""


def _turn(turn: TurnSpan, width: int, form: str) -> list[Line]:
    lines = _packed(_heading(turn, form), width, "class:speaker")
    if turn.error:
        lines += error_lines(turn.error, "", width)
    for step in turn.steps:
        match step:
            case MessageEvent():
                lines += _message(step, width)
            case CallSpan():
                lines += _call(step, width)
            case NoticeEvent():
                lines += paragraph(f"! {step.text}", width, "class:notice")
    return lines


def _heading(turn: TurnSpan, form: str) -> list[str]:
    name = turn.session.po_name
    who = f"{turn.caller} → {name}" if turn.caller else name
    duration = "" if turn.seconds is None else format_duration(turn.seconds)
    outcome = "" if turn.outcome == "answered" else turn.outcome or "end unknown"
    facts = (format_time(turn.started_at, form), who, duration, outcome)
    return [*facts, *turn.models, *_totals(turn.own, turn.inclusive)]


def _totals(own: Totals, inclusive: Totals) -> Iterator[str]:
    if own.responses:
        yield _amount(own)
    if inclusive.responses > own.responses and (amount := _amount(inclusive)):
        yield f"including delegates: {amount}"


def _amount(totals: Totals) -> str:
    cost = "" if totals.usage.cost is None else f"${totals.usage.cost:.4f}"
    return ", ".join(part for part in (_tokens(totals), cost) if part)


def _tokens(totals: Totals) -> str:
    usage = totals.usage
    cached = f" ({usage.cached:,} cached)" if usage.cached else ""
    return f"{usage.prompt:,} tokens in{cached}, {usage.completion:,} out" if usage.total else ""


def _message(message: MessageEvent, width: int) -> list[Line]:
    """Draw a message on one line; on a narrow screen, one that only calls tools is left out."""
    text = f"({format_bytes(message.size)}, no longer in the session)" if message.text is None else message.text
    if message.size == 0 and message.totals and not message.interrupted and width < WIDE:
        return []
    lead = _ROLES.get(message.role) or f"{message.role}:"
    if message.interrupted:
        lead = f"{lead} [{message.interrupted}]"
    read = f"read {format_time(message.read_at)}" if message.read_at else ""
    facts = [format_time(message.at), read, message.model or "", _tokens(message.totals) if message.totals else ""]
    style = "class:user-message" if message.role == "user" else ""
    return [_beside([(style, f"{lead} {text.strip()}")], facts if width >= WIDE else [], width)]


def _call(call: CallSpan, width: int) -> list[Line]:
    """Draw a call and its end, and below it the turns that it started; an error stands on a line of its own."""
    line = call_line(call.name, "" if call.turns else call.arguments or "", 2 * width)
    facts = [format_time(call.at)] if width >= WIDE else []
    duration = "" if call.seconds is None else format_duration(call.seconds)
    if call.outcome == "failed":
        text = call.result.removeprefix("Error: ") if call.result else "failed"
        lines = [_beside(line, facts, width), _beside([("class:failed", f"✗ {text}")], [duration], width)]
    else:
        size = "" if call.size is None else format_bytes(call.size)
        text = ", ".join(part for part in (size, duration) if part)
        done = f"✓ {text}".rstrip() if call.outcome else "? end unknown"
        lines = [_beside(line, facts, width, done)]
    if call.grant:
        lines += paragraph(f"ran without approval: {call.grant}", width, "class:hint")
    for turn in call.turns:
        depth = 1 if width - len(BAR) >= MIN_WIDTH else 0
        lines += indent_by_depth(_turn(turn, width - depth * len(BAR), "%H:%M:%S"), depth)
    return lines


def _beside(line: Line, facts: Sequence[str], width: int, done: str = "") -> Line:
    """Put the end of a call and facts after a line, which is cut to make room for them."""
    ((style, text),) = line
    right_text = fit(_GAP.join(fact for fact in facts if fact), width // 2)
    right = [(role, each) for role, each in (("class:done", done), ("class:hint", right_text)) if each]
    room = width - sum(cell_width(each) + 2 for _, each in right)
    pieces = [(style, fit(text, max(room, 1)).rstrip())]
    for role, each in right:
        pieces += [("", "  "), (role, each)]
    return pieces


def _packed(parts: Sequence[str], width: int, style: str) -> list[Line]:
    """Put the parts after each other, on as many lines as they need; further lines are indented."""
    lines = [""]
    for part in (fit(part, width - 2) for part in parts if part):
        longer = f"{lines[-1]}{_GAP}{part}" if lines[-1].strip() else f"{lines[-1]}{part}"
        if cell_width(longer) <= width or not lines[-1].strip():
            lines[-1] = longer
        else:
            lines.append(f"  {part}")
    return [[(style, line)] for line in lines]
