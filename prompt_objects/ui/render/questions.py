"""Questions to the user, drawn.

A model's text may try to mislead. It never begins a line, so it cannot look like another question, and none of it is
invisible. If a question is long, a short form of it follows that is on the screen as a whole.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from prompt_objects.runtime.interaction import ApprovalRequest, InputRequest
from prompt_objects.ui.render.diff import draw_diff
from prompt_objects.ui.render.reveal import MARK, exact_paragraph, reveal
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.render.text import cell_width, fit, paragraph
from prompt_objects.utils.text import arrow_path, is_json, pluralize

MAX_WHOLE_ROWS = 200
"""Rows of a question that are printed without being asked for; a longer one opens on a key."""
FREE_PROMPT = "answer: "
_ANSWER_WIDTH = 8
"""Cells that the prompt leaves for the answer."""
_PLAIN_KEY = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_LEGEND = "Characters that cannot be seen, or look like others, are shown as signs or numbers such as <U+200B>."


class Drawing(Struct, frozen=True):
    """A drawn question; `short` is a form of it that fits on the screen, empty if the whole does.

    If it `is_closed`, only the short form is shown until the user opens the whole.
    """

    whole: list[Line]
    short: list[Line]
    is_closed: bool = False

    @property
    def lines(self) -> list[Line]:
        return self.short if self.is_closed else [*self.whole, *self.short]


def draw_approval(request: ApprovalRequest, width: int, height: int) -> Drawing:
    """Draw a call that needs approval: the arguments, the change to a file, and remarks."""
    hidden = request.in_diff if request.diff else ()
    blocks = [
        _argument(key, value, width, is_code=key in request.kinds)
        for key, value in request.arguments.items()
        if key not in hidden
    ]
    blocks += [draw_diff(request.diff, width)] if request.diff else []
    blocks += [exact_paragraph(reveal(remark), width, "class:notice", lead="  ") for remark in request.remarks]
    verb = f"wants to use {reveal(request.tool, is_code=True)}"
    drawing = _draw(request.path, verb, blocks, width, height)
    return replace(drawing, is_closed=bool(drawing.short) and len(drawing.whole) > MAX_WHOLE_ROWS)


def draw_input(request: InputRequest, width: int, height: int) -> Drawing:
    """Draw a question of a prompt object, and its choices."""
    rows = request.question.replace("\r\n", "\n").split("\n")
    question = [line for row in rows for line in exact_paragraph(reveal(row), width, lead="  ")]
    choices = [
        exact_paragraph(reveal(each), width, lead=f"  {number}: ") for number, each in enumerate(request.choices, 1)
    ]
    return _draw(request.path, "asks you", [question, *choices], width, height)


def approval_prompt(request: ApprovalRequest, width: int, *, editable: bool = True) -> str:
    """Return the prompt before the answer: the prompt object, the tool, the answers; long names are cut."""
    keys = f"[y/{'s/' if request.for_session else ''}N/never{'/e' if editable else ''}] "
    room = width - cell_width(keys) - _ANSWER_WIDTH
    name = fit(request.path[-1], max(room // 2, 4))
    return f"{name}: {fit(request.tool, max(room - cell_width(name) - 4, 4))}? {keys}"


def _draw(path: Sequence[str], verb: str, blocks: list[list[Line]], width: int, height: int) -> Drawing:
    if any(MARK.search(text) for block in blocks for line in block for _, text in line):
        blocks = [*blocks, paragraph(_LEGEND, width, "class:hint", lead="  ")]
    whole = [[], *_heading(path, f"{verb}:", width), *(line for block in blocks for line in block)]
    if len(whole) <= height:
        return Drawing(whole, [])
    head: list[Line] = [[], *_heading(path, f"{verb}; in short:", width)]
    room = max(height - len(head), 3)
    shares = _shares([len(block) for block in blocks], room)
    short = [line for block, share in zip(blocks, shares, strict=True) for line in _ends(block, share)]
    return Drawing(whole, [*head, *_ends(short, room)])


def _heading(path: Sequence[str], verb: str, width: int) -> list[Line]:
    *askers, name = (reveal(each, is_code=True) for each in path)
    by = f" (asked by {arrow_path(askers)})" if askers else ""
    return exact_paragraph(f"{name}{by} {verb}", width, "class:notice")


def _shares(lengths: Sequence[int], room: int) -> list[int]:
    """Divide the rows of a screen among blocks; what a short block does not need is left to the others."""
    shares = dict.fromkeys(range(len(lengths)), 0)
    for left, index in zip(range(len(lengths), 0, -1), sorted(shares, key=lengths.__getitem__), strict=True):
        shares[index] = min(lengths[index], max(room // left, 3))
        room -= shares[index]
    return list(shares.values())


def _ends(lines: list[Line], most: int) -> list[Line]:
    """Return the first and the last lines, and between them the number of the missing ones."""
    if len(lines) <= most:
        return lines
    first, last = most // 2, (most - 1) // 2
    omitted: Line = [("class:hint", f"  … {pluralize(len(lines) - first - last, 'more row')} …")]
    return [*lines[:first], omitted, *lines[len(lines) - last :]]


def _argument(key: str, value: Any, width: int, *, is_code: bool) -> list[Line]:
    name = key if _PLAIN_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False)
    text = f"{reveal(name, is_code=True)}: {reveal(_value(value), is_code=is_code)}"
    return exact_paragraph(text, width, lead="  ")


def _value(value: Any) -> str:
    """Return a text as it is, and anything else as JSON; a text that could be taken for JSON is quoted."""
    if isinstance(value, str) and value and not is_json(value):
        return value
    return json.dumps(value, ensure_ascii=False)
