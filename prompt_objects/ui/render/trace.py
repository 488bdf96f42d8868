"""A trace, drawn: the turns of a session, and below each call the turns that it began."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from prompt_toolkit.utils import get_cwidth

from prompt_objects.trace.model import CallSpan, MessageEvent, NoticeEvent, Totals, Trace, TurnSpan
from prompt_objects.ui.render import text as drawing
from prompt_objects.ui.render.style import Line
from prompt_objects.utils.text import pluralize

__all__ = [
    "clock",
    "traced",
]

WIDE = 110
"""From so many cells on there is room for the time, the model and the tokens of each answer."""
SMALLEST = 30
"""Cells that are left to the deepest turns, however deep they are."""
_GAP = " · "
_ROLES = {
    "user": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
    "assistant": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}",
}


def traced(trace: Trace, width: int) -> list[Line]:
    """Draw a trace; what a narrow screen has no room for is cut, or left out."""
    session = trace.session
    head = [session.name, f"of {session.po_name}", session.id, pluralize(len(trace.turns), "turn")]
    lines = _packed([*head, *_sums(trace.own, trace.inclusive)], width, "class:title")
    for turn in trace.turns:
        lines += [[], *_turn(turn, width, "%Y-%m-%d %H:%M:%S")]
    return lines


def clock(moment: datetime | None, form: str = "%H:%M:%S") -> str:
    """Write a moment in the time of where we are; nothing where it is not known."""
    return moment.astimezone().strftime(form) if moment else ""


def _turn(turn: TurnSpan, width: int, form: str) -> list[Line]:
    lines = _packed(_heading(turn, form), width, "class:speaker")
    if turn.error:
        lines += drawing.error(turn.error, "", width)
    for step in turn.steps:
        match step:
            case MessageEvent():
                lines += _message(step, width)
            case CallSpan():
                lines += _call(step, width)
            case NoticeEvent():
                lines += drawing.paragraph(f"! {step.text}", width, "class:notice")
    return lines


def _heading(turn: TurnSpan, form: str) -> list[str]:
    name = turn.session.po_name
    who = f"{turn.asker} → {name}" if turn.asker else name
    took = "" if turn.seconds is None else drawing.duration(turn.seconds)
    outcome = "" if turn.outcome == "answered" else turn.outcome or "no end known"
    return [clock(turn.started_at, form), who, took, outcome, *turn.models, *_sums(turn.own, turn.inclusive)]


def _sums(own: Totals, inclusive: Totals) -> Iterator[str]:
    """Say what was taken, and, where others were asked, what it is with them."""
    if own.answers:
        yield _amount(own)
    if inclusive.answers > own.answers and (amount := _amount(inclusive)):
        yield f"with all below: {amount}"


def _amount(took: Totals) -> str:
    cost = "" if took.usage.cost is None else f"${took.usage.cost:.4f}"
    return ", ".join(part for part in (_tokens(took), cost) if part)


def _tokens(took: Totals) -> str:
    usage = took.usage
    cached = f" ({usage.cached:,} cached)" if usage.cached else ""
    return f"{usage.prompt:,} tokens in{cached}, {usage.completion:,} out" if usage.total else ""


def _message(message: MessageEvent, width: int) -> list[Line]:
    """Draw a message on one line; one that only calls has nothing to say where there is no room for more."""
    text = f"({drawing.in_bytes(message.size)}, no longer in the session)" if message.text is None else message.text
    if message.size == 0 and message.took and not message.interrupted and width < WIDE:
        return []
    lead = _ROLES.get(message.role) or f"{message.role}:"
    if message.interrupted:
        lead = f"{lead} [{message.interrupted}]"
    facts = [clock(message.at), message.model or "", _tokens(message.took) if message.took else ""]
    style = "class:said" if message.role == "user" else ""
    return [_beside([(style, f"{lead} {text.strip()}")], facts if width >= WIDE else [], width)]


def _call(call: CallSpan, width: int) -> list[Line]:
    """Draw a call and how it ended, which is told below where it failed; what others were asked is in their turn."""
    line = drawing.call(call.name, "" if call.turns else call.arguments or "", 2 * width)
    facts = [clock(call.at)] if width >= WIDE else []
    took = "" if call.seconds is None else drawing.duration(call.seconds)
    if call.outcome == "failed":
        text = call.result.removeprefix("Error: ") if call.result else "failed"
        lines = [_beside(line, facts, width), _beside([("class:failed", f"✗ {text}")], [took], width)]
    else:
        size = "" if call.size is None else drawing.in_bytes(call.size)
        text = ", ".join(part for part in (size, took) if part)
        done = f"✓ {text}".rstrip() if call.outcome else "? no end known"
        lines = [_beside(line, facts, width, done)]
    for turn in call.turns:
        depth = 1 if width - len(drawing.BAR) >= SMALLEST else 0
        lines += drawing.indent_by_depth(_turn(turn, width - depth * len(drawing.BAR), "%H:%M:%S"), depth)
    return lines


def _beside(line: Line, facts: Sequence[str], width: int, done: str = "") -> Line:
    """Put how it ended, and facts, behind a line, which is cut to make room for them."""
    ((style, text),) = line
    told = drawing.fit(_GAP.join(fact for fact in facts if fact), width // 2)
    right = [(role, each) for role, each in (("class:done", done), ("class:hint", told)) if each]
    room = width - sum(get_cwidth(each) + 2 for _, each in right)
    pieces = [(style, drawing.fit(text, max(room, 1)).rstrip())]
    for role, each in right:
        pieces += [("", "  "), (role, each)]
    return pieces


def _packed(parts: Sequence[str], width: int, style: str) -> list[Line]:
    """Put the parts one behind the other, on as many lines as they need; those behind the first are indented."""
    lines = [""]
    for part in (drawing.fit(part, width - 2) for part in parts if part):
        longer = f"{lines[-1]}{_GAP}{part}" if lines[-1].strip() else f"{lines[-1]}{part}"
        if get_cwidth(longer) <= width or not lines[-1].strip():
            lines[-1] = longer
        else:
            lines.append(f"  {part}")
    return [[(style, line)] for line in lines]
