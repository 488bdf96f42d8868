"""Messages of a history, drawn one below the other."""

from collections.abc import Sequence

from prompt_objects.errors import PromptObjectsError
from prompt_objects.message import RECORDS, Message, calls_of, has_failed, live_messages, role_of, text_of
from prompt_objects.sessions.session import Session
from prompt_objects.ui.render.events import external_heading
from prompt_objects.ui.render.markdown import render
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.render.text import call_line, error_lines, object_prompt, paragraph, result_line, user_message
from prompt_objects.utils.time import time_ago

MAX_EXTERNAL = 50
"""Messages of other processes that are shown together; all of them are in the session."""
RECAP_MESSAGES = 40
"""The last messages, in which the last exchange is searched."""
RECAP_LINES = 12


def draw_messages(
    po_name: str, messages: Sequence[Message], width: int, *, max_lines: int | None = None
) -> list[Line]:
    """Draw messages as in a conversation; of a longer message, only the last `max_lines`."""
    lines: list[Line] = []
    for message in messages:
        if role_of(message) == "user":
            lines += [[], *_shorten(user_message(object_prompt(po_name, width), text_of(message), width), max_lines)]
        elif role_of(message) == "assistant":
            if text_of(message).strip():
                lines += [[], *_shorten(render(text_of(message), width), max_lines)]
            for call in calls_of(message):
                function = call["function"]
                lines.append(call_line(str(function.get("name")), str(function.get("arguments") or ""), width))
        elif role_of(message) == "tool":
            lines.append(result_line(text_of(message), None, width, failed=has_failed(message) is True))
        elif role_of(message) in RECORDS:
            lines += paragraph(text_of(message), width, "class:hint", "? ")
    return lines


def draw_external(po_name: str, messages: Sequence[Message], width: int) -> list[Line]:
    """Draw messages that other processes added to a session, below a heading; of very many messages, the last."""
    heading = external_heading(len(messages))
    if len(messages) > MAX_EXTERNAL:
        heading += f", the last {MAX_EXTERNAL} of them"
    lines = paragraph(f"{heading}:", width, "class:notice", "! ")
    return [*lines, *draw_messages(po_name, messages[-MAX_EXTERNAL:], width)]


def recap(po_name: str, session: Session, width: int) -> list[Line]:
    """Draw the last exchange of a session below a heading, of a long answer the end, or why it cannot be drawn."""
    try:
        messages = session.tail(RECAP_MESSAGES)
        live = live_messages(messages, first=session.message_count - len(messages))
        starts = [index for index, message in enumerate(live) if role_of(message) == "user"]
        lines = draw_messages(po_name, live[starts[-1] if starts else 0 :], width, max_lines=RECAP_LINES)
        lines = lines[1:] if lines[:1] == [[]] else lines
        heading = f"The end of {session.name}, {time_ago(session.info.updated_at)}:"
        return [*paragraph(heading, width, "class:hint"), *lines] if lines else []
    except PromptObjectsError as error:
        return error_lines(str(error), error.hint, width)
    except Exception as error:  # noqa: BLE001 - runs at each start, so a defect would make the session unusable
        return paragraph(f"The last exchange cannot be shown: {error!r}", width, "class:hint")


def _shorten(lines: list[Line], max_lines: int | None) -> list[Line]:
    if max_lines is None or len(lines) <= max_lines:
        return lines
    omitted = f"… {len(lines) - max_lines + 1} lines …"
    return [[("class:hint", omitted)], *lines[1 - max_lines :]]
