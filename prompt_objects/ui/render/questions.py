"""How a question to the person is drawn: who asks, what, and by whom that one was asked.

What a model wrote may be meant to mislead. It never begins a line, so that it cannot pass for a question of its own;
and where it is long, the question stands once more in short beneath it, whole on the screen.
"""

import json
from collections.abc import Sequence
from typing import Any

from prompt_toolkit.utils import get_cwidth

from prompt_objects.runtime.interaction import ApprovalRequest, Decision, InputRequest
from prompt_objects.ui.render import text as drawing
from prompt_objects.ui.render.sanitize import clean
from prompt_objects.ui.render.style import Line
from prompt_objects.utils.text import arrow_path, pluralize

__all__ = [
    "FREE_PROMPT",
    "REST_SECONDS",
    "answer_for",
    "approval_hint",
    "approval_lines",
    "input_hint",
    "input_lines",
    "prompt",
    "subject",
]

MOST_ROWS = 10
"""Rows of one value, or of one remark, in a question that is drawn in short."""
_BREAK = "\N{SYMBOL FOR LINE FEED}"
_TYPED = 8
"""Cells that the prompt leaves for the answer."""


def approval_lines(question: ApprovalRequest, width: int, height: int) -> list[Line]:
    """Draw who wants to do what, by whom it was asked, and the change to a file that it would make.

    What takes more rows than `height` is followed by the same in short, which does not.
    """
    if question.diff:
        blocks = [[line for row in question.diff.removesuffix("\n").split("\n") for line in _changed(row, width)]]
    else:
        blocks = [_argument(key, value, width) for key, value in question.arguments.items()]
    blocks += [
        drawing.paragraph(_on_one_line(remark), width, "class:notice", lead="  ") for remark in question.remarks
    ]
    return _fitted(question.path, f"wants to use {_on_one_line(question.tool)}", blocks, width, height)


def input_lines(inquiry: InputRequest, width: int, height: int) -> list[Line]:
    """Draw who wants to know what, and by whom it was asked; in short as well if it takes more rows than `height`."""
    asked = [line for row in inquiry.question.splitlines() for line in drawing.paragraph(row, width, lead="  ")]
    choices = [
        drawing.paragraph(choice, width, lead=f"  {number}: ") for number, choice in enumerate(inquiry.choices, 1)
    ]
    return _fitted(inquiry.path, "asks you", [asked, *choices], width, height)


def approval_hint(question: ApprovalRequest, *, editable: bool = True) -> str:
    """Say what can be answered to a question of approval."""
    lasting = "s: for this session · " if question.for_session else ""
    editing = " · e: edit what it is called with" if editable else ""
    return f"y: once · {lasting}n: no · never: not in this session{editing}"


def input_hint(inquiry: InputRequest) -> str:
    """Say what can be answered to a prompt object's own question."""
    words = "A number, or your own words" if inquiry.choices else "Your own words"
    return f"{words}; nothing, or Esc, leaves it unanswered."


def prompt(question: ApprovalRequest, width: int) -> str:
    """Write what stands before the answer, and stays on the screen: who wants to use what, and the answers."""
    keys = "[y/s/N/never/e] " if question.for_session else "[y/N/never/e] "
    return subject(question, width - get_cwidth(keys) - _TYPED) + keys


def subject(question: ApprovalRequest, width: int) -> str:
    """Say in about so many cells who wants to use what; of both some is left however long they are."""
    name = drawing.fit(question.path[-1], max(width // 2, 4))
    return f"{name}: {drawing.fit(question.tool, max(width - get_cwidth(name) - 4, 4))}? "


def _fitted(path: Sequence[str], does: str, blocks: Sequence[list[Line]], width: int, height: int) -> list[Line]:
    whole = [[], *_headed(path, f"{does}:", width), *(line for block in blocks for line in block)]
    if len(whole) <= height:
        return whole
    head: list[Line] = [[], *_headed(path, f"{does}; in short:", width)]
    room = max(height - len(head), 3)
    each = max(min(MOST_ROWS, room // len(blocks)), 3) if len(blocks) > 1 else room
    return [*whole, *head, *_ends([line for block in blocks for line in _ends(block, each)], room)]


def _headed(path: Sequence[str], does: str, width: int) -> list[Line]:
    *askers, name = path
    by = f" (asked by {arrow_path(askers)})" if askers else ""
    return drawing.paragraph(f"{name}{by} {does}", width, "class:notice")


def _ends(lines: list[Line], most: int) -> list[Line]:
    """Return the first and the last of the lines, and between them how many are missing."""
    if len(lines) <= most:
        return lines
    first, last = most // 2, (most - 1) // 2
    told: Line = [("class:hint", f"  … {pluralize(len(lines) - first - last, 'row')} more, above …")]
    return [*lines[:first], told, *lines[len(lines) - last :]]


def _argument(key: str, value: Any, width: int) -> list[Line]:
    written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return drawing.paragraph(_on_one_line(f"{key}: {written}"), width, lead="  ")


def _changed(row: str, width: int) -> list[Line]:
    """Draw a line of a diff; what does not fit stands below, marked as no line of its own."""
    style = {"+": "class:added", "-": "class:removed"}.get(row[:1], "class:call")
    text = _on_one_line(row.removesuffix("\r"))
    first, *more = drawing.hard_wrap(text, width - 1)
    return [[(style, first)], *([(style, f"…{rest}")] for rest in more)]


def _on_one_line(text: str) -> str:
    """Return the text cleaned, with signs for its line breaks."""
    return clean(text).replace("\n", _BREAK)


FREE_PROMPT = "answer: "
_ANSWERS: dict[str, Decision] = {
    "y": "once",
    "yes": "once",
    "s": "session",
    "session": "session",
    "": "no",
    "n": "no",
    "no": "no",
    "never": "never",
}


def answer_for(question: ApprovalRequest, typed: str) -> Decision | None:
    """Return what a word means as an answer to a question; None where it is none."""
    answer = _ANSWERS.get(typed.strip().casefold())
    return None if answer == "session" and not question.for_session else answer


REST_SECONDS = 0.7
"""Longer than the pauses of somebody who types, and about as long as it takes to see that something is asked."""
