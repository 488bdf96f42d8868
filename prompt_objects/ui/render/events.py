"""What happens, told in one line an event."""

from prompt_objects.message import text_of
from prompt_objects.runtime.events import (
    BudgetUpdated,
    Event,
    ExternalMessages,
    MessageSaved,
    Notice,
    TextDelta,
    ToolCallEnded,
    ToolCallStarted,
    TurnEnded,
    TurnStarted,
)
from prompt_objects.ui.render import text as drawing
from prompt_objects.ui.render.style import Line
from prompt_objects.utils.text import arrow_path, pluralize

__all__ = [
    "headline",
]


def headline(event: Event, width: int) -> list[Line]:
    """Tell when it happened, to whom, by whom these were asked, and what; of text that streams, nothing."""
    if isinstance(event, TextDelta):
        return []
    line = f"{event.at.astimezone():%H:%M:%S} {arrow_path(event.path)}: {_what(event)}"
    return [[("class:hint", drawing.fit(line, width))]]


def _what(event: Event) -> str:
    match event:
        case TurnStarted():
            what = f"begins, in {event.session_id}"
        case MessageSaved():
            what = f"saved: {event.message.get('role')}: {text_of(event.message)}"
        case ExternalMessages():
            what = f"from elsewhere: {pluralize(len(event.messages), 'message')}"
        case ToolCallStarted():
            what = f"calls {event.name} {event.arguments}"
        case ToolCallEnded():
            how = "failed" if event.failed else "ended"
            what = f"{event.name} {how} in {drawing.duration(event.seconds)}: {event.result}"
        case Notice():
            what = f"! {event.text}"
        case BudgetUpdated():
            requests, tokens = event.amount.requests, event.amount.tokens
            what = f"spent so far: {pluralize(requests, 'request')}, {pluralize(tokens, 'token')}"
        case TurnEnded():
            what = f"{event.outcome}: {event.error}" if event.error else event.outcome
        case _:
            what = type(event).__name__
    return what
