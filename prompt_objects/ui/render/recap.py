"""The last exchange of a session, rendered as a reminder."""

from collections.abc import Sequence

from prompt_objects.errors import PromptObjectsError
from prompt_objects.message import Message, live_messages
from prompt_objects.sessions.session import Session
from prompt_objects.ui.render import text as drawing
from prompt_objects.ui.render.messages import drawn
from prompt_objects.ui.render.style import Line

__all__ = [
    "last_exchange",
    "recap",
]

LOOKED_BACK = 40
"""Messages among which the last exchange is looked for."""
RECALLED_LINES = 12


def recap(po_name: str, session: Session, width: int) -> list[Line]:
    """Draw the last exchange of a session; where that cannot be done, why not."""
    try:
        messages = session.tail(LOOKED_BACK)
        live = live_messages(messages, first=session.message_count - len(messages))
        return last_exchange(po_name, live, width)
    except PromptObjectsError as error:
        return drawing.error(str(error), error.hint, width)
    except Exception as error:  # noqa: BLE001 - drawn at each start, so a defect here would shut the session for good
        return drawing.paragraph(f"The last exchange cannot be shown: {error!r}", width, "class:hint")


def last_exchange(po_name: str, messages: Sequence[Message], width: int) -> list[Line]:
    """Draw what was last asked and answered, the answer's end where it is long."""
    asked = [index for index, message in enumerate(messages) if message.get("role") == "user"]
    lines = drawn(po_name, messages[asked[-1] if asked else 0 :], width, most_lines=RECALLED_LINES)
    return lines[1:] if lines[:1] == [[]] else lines
