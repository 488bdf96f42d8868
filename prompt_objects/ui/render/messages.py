"""Messages that stand in a history, drawn one below the other."""

from collections.abc import Sequence

from prompt_objects.message import Message, calls_of, has_failed, text_of
from prompt_objects.ui.render import text as drawing
from prompt_objects.ui.render.style import Line
from prompt_objects.utils.text import pluralize

__all__ = [
    "arrived",
    "drawn",
]

MOST_ARRIVED = 50
"""Messages of others that are shown at once; all of them are in the session."""


def drawn(po_name: str, messages: Sequence[Message], width: int, *, most_lines: int | None = None) -> list[Line]:
    """Draw messages as they were drawn when they were said; of a long one, the last `most_lines`."""
    lines: list[Line] = []
    for message in messages:
        if message.get("role") == "user":
            said = drawing.user_message(drawing.prompt(po_name, width), text_of(message), width)
            lines += [[], *_shortened(said, most_lines)]
        elif message.get("role") == "assistant":
            lines += _answer(message, width, most_lines)
        elif message.get("role") == "tool":
            lines.append(drawing.result(text_of(message), None, width, failed=has_failed(message) is True))
    return lines


def arrived(po_name: str, messages: Sequence[Message], width: int) -> list[Line]:
    """Draw what others added to a session, and say so; of very many messages, the last."""
    told = f"From elsewhere: {pluralize(len(messages), 'message')}"
    if len(messages) > MOST_ARRIVED:
        told += f", of which the last {MOST_ARRIVED} are"
    heading = drawing.paragraph(f"{told}:", width, "class:notice", "! ")
    return [*heading, *drawn(po_name, messages[-MOST_ARRIVED:], width)]


def _answer(message: Message, width: int, most_lines: int | None) -> list[Line]:
    from prompt_objects.ui.render.markdown import render

    lines: list[Line] = []
    if text_of(message).strip():
        lines += [[], *_shortened(render(text_of(message), width), most_lines)]
    functions = [call["function"] for call in calls_of(message)]
    return lines + [drawing.call(str(f.get("name")), str(f.get("arguments") or ""), width) for f in functions]


def _shortened(lines: list[Line], most: int | None) -> list[Line]:
    if most is None or len(lines) <= most:
        return lines
    left_out = f"… {len(lines) - most + 1} lines …"
    return [[("class:hint", left_out)], *lines[1 - most :]]
