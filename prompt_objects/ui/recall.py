"""Where a session was left: its last exchange, as a reminder."""

from collections.abc import Sequence

from prompt_objects.errors import PromptObjectsError
from prompt_objects.message import Message, calls_of, live_messages, text_of
from prompt_objects.sessions.session import Session
from prompt_objects.ui import drawing
from prompt_objects.ui.style import Line

__all__ = ["last_exchange", "recalled"]

LOOKED_BACK = 40
"""Messages among which the last exchange is looked for."""
RECALLED_LINES = 12


def recalled(po_name: str, session: Session, width: int) -> list[Line]:
    """Draw the last exchange of a session; where that cannot be done, why not."""
    try:
        messages = session.tail(LOOKED_BACK)
        live = live_messages(messages, first=session.message_count - len(messages))
        return last_exchange(po_name, live, width)
    except PromptObjectsError as error:
        return drawing.error(str(error), error.hint, width)
    except Exception as error:  # noqa: BLE001 - drawn at each start, so a defect here would shut the session for good
        return drawing.sentence(f"The last exchange cannot be shown: {error!r}", width, "class:hint")


def last_exchange(po_name: str, messages: Sequence[Message], width: int) -> list[Line]:
    """Draw what was last asked and answered, the answer's end where it is long."""
    from prompt_objects.ui.markdown import render

    asked = [index for index, message in enumerate(messages) if message.get("role") == "user"]
    lines: list[Line] = []
    for message in messages[asked[-1] if asked else 0 :]:
        if message.get("role") == "user":
            lines += _shortened(drawing.said(drawing.prompt(po_name, width), text_of(message), width))
        elif message.get("role") == "assistant":
            if text_of(message).strip():
                lines += [[], *_shortened(render(text_of(message), width))]
            functions = [call["function"] for call in calls_of(message)]
            lines += [drawing.call(str(f.get("name")), str(f.get("arguments") or ""), width) for f in functions]
    return lines


def _shortened(lines: list[Line]) -> list[Line]:
    if len(lines) <= RECALLED_LINES:
        return lines
    left_out = f"… {len(lines) - RECALLED_LINES + 1} lines …"
    return [[("class:hint", left_out)], *lines[1 - RECALLED_LINES :]]
