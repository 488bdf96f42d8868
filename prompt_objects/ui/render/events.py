"""Events as single lines, for output without a screen and for `/bus`."""

from prompt_objects.message import text_of
from prompt_objects.runtime import events
from prompt_objects.runtime.events import Event
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.render.text import call_line, fit, format_duration, result_line
from prompt_objects.utils.text import arrow_path, pluralize

WIDTH = 79
"""Columns of output without a screen."""


def headline(event: Event, width: int) -> list[Line]:
    """Draw an event as one line with its time and its path; nothing for streamed text."""
    if isinstance(event, events.TextDelta):
        return []
    line = f"{event.at.astimezone():%H:%M:%S} {arrow_path(event.path)}: {_describe(event)}"
    return [[("class:hint", fit(line, width))]]


def external_heading(count: int) -> str:
    """Return the heading of messages that another process added to the session."""
    return f"{pluralize(count, 'new message')} from another process"


def _describe(event: Event) -> str:
    match event:
        case events.TurnStarted():
            text = f"started in {event.session_id}"
        case events.MessageSaved():
            text = f"saved: {event.message.get('role')}: {text_of(event.message)}"
        case events.ExternalMessages():
            text = external_heading(len(event.messages))
        case events.ToolCallStarted():
            text = f"calls {event.name} {event.arguments}"
        case events.ToolCallEnded():
            verb = "failed" if event.failed else "ended"
            text = f"{event.name} {verb} in {format_duration(event.seconds)}: {event.result}"
        case events.Notice():
            text = f"! {event.text}"
        case events.BudgetUpdated():
            requests, tokens = pluralize(event.amount.requests, "request"), pluralize(event.amount.tokens, "token")
            text = f"used so far: {requests}, {tokens}"
        case events.TurnEnded():
            text = f"{event.outcome}: {event.error}" if event.error else event.outcome
        case _:
            text = type(event).__name__
    return text


def progress_line(event: Event) -> str:
    """Return the line of a tool call or a notice, for a user who waits for the answer; "" for other events."""
    match event:
        case events.ToolCallStarted():
            (_, text), *_ = call_line(event.name, event.arguments, WIDTH - len(event.po_name))
            return f"{event.po_name} {text}"
        case events.ToolCallEnded():
            (_, text), *_ = result_line(event.result, event.seconds, WIDTH, failed=event.failed)
            return fit(f"  {text[:1]} {fit(event.name, WIDTH // 2)}: {text[2:]}", WIDTH)
        case events.ExternalMessages():
            return f"! {external_heading(len(event.messages))}"
        case events.Notice():
            return f"! {event.text}"  # the user has no other way to read the rest
        case _:
            return ""
