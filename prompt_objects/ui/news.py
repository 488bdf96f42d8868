"""What happens, told in one line an event."""

from prompt_objects.bus import (
    CallEnded,
    CallStarted,
    Event,
    MessagesArrived,
    MessageSaved,
    Notice,
    Spent,
    TextDelta,
    TurnEnded,
    TurnStarted,
)
from prompt_objects.message import text_of
from prompt_objects.ui import drawing
from prompt_objects.ui.style import Line
from prompt_objects.wording import arrows, count

__all__ = ["headline"]


def headline(event: Event, width: int) -> list[Line]:
    """Tell when it happened, to whom, by whom these were asked, and what; of text that streams, nothing."""
    if isinstance(event, TextDelta):
        return []
    line = f"{event.at.astimezone():%H:%M:%S} {arrows(event.path)}: {_what(event)}"
    return [[("class:hint", drawing.cut(line, width))]]


def _what(event: Event) -> str:
    match event:
        case TurnStarted():
            what = f"begins, in {event.session_id}"
        case MessageSaved():
            what = f"saved: {event.message.get('role')}: {text_of(event.message)}"
        case MessagesArrived():
            what = f"from elsewhere: {count(len(event.messages), 'message')}"
        case CallStarted():
            what = f"calls {event.name} {event.arguments}"
        case CallEnded():
            how = "failed" if event.failed else "ended"
            what = f"{event.name} {how} in {drawing.duration(event.seconds)}: {event.result}"
        case Notice():
            what = f"! {event.text}"
        case Spent():
            what = f"spent so far: {count(event.amount.turns, 'request')}, {count(event.amount.tokens, 'token')}"
        case TurnEnded():
            what = f"{event.outcome}: {event.error}" if event.error else event.outcome
        case _:
            what = type(event).__name__
    return what
