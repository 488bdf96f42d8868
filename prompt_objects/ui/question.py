"""A question to the user while it is open: its text, drawn, and the meaning of the answer that is typed.

A model's text may try to mislead. It never begins a line, so it cannot look like another question. If it is long, a
short form of the question follows that is on the screen as a whole.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from prompt_objects.runtime.interaction import ApprovalRequest, Decision, EditedArguments, InputRequest
from prompt_objects.ui.render.sanitize import clean
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.render.text import cell_width, fit, hard_wrap, paragraph
from prompt_objects.utils.text import arrow_path, pluralize

MAX_ROWS = 10
"""Rows of one argument, or of one remark, in the short form of a question."""
REST_SECONDS = 0.7
"""Longer than the pauses of a user who is typing, and about the time it takes to notice a question."""
FREE_PROMPT = "answer: "
_BREAK = "\N{SYMBOL FOR LINE FEED}"
_ANSWER_WIDTH = 8
"""Cells that the prompt leaves for the answer."""
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


class Question:
    """One request for approval or input; `answer` is set when the user has answered.

    The view shows the question, waits until the user can have seen it, and then opens it: text that is typed before
    is no answer. `shown` are the lines that the view has shown, `draft` are the arguments when editing them begins.
    """

    def __init__(self, request: ApprovalRequest | InputRequest, *, editable: bool = True) -> None:
        self.request = request
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.shown: list[Line] = []
        self.draft = ""
        self.is_open = False
        self.is_early = False
        """Whether the input was empty when the question appeared, and the question is not open yet."""
        self.is_editing = False
        self._editable = editable

    @property
    def hint(self) -> str:
        if isinstance(self.request, InputRequest):
            answer = "a number or your own answer" if self.request.choices else "your answer"
            return f"Type {answer}; an empty line or Esc skips the question."
        session = "s: for this session · " if self.request.for_session else ""
        return f"y: once · {session}n: no · never: not in this session{' · e: edit arguments' * self._editable}"

    def lines(self, width: int, height: int) -> tuple[list[Line], list[Line]]:
        """Draw the question, and below it the hint, so that both fit in `height` lines."""
        hint = paragraph(self.hint, width, "class:hint")
        if isinstance(self.request, InputRequest):
            return input_lines(self.request, width, height - len(hint)), hint
        return approval_lines(self.request, width, height - len(hint)), hint

    def prompt(self, width: int) -> str:
        if isinstance(self.request, InputRequest):
            return FREE_PROMPT
        return "{…} " if self.is_editing else approval_prompt(self.request, width, editable=self._editable)

    def dismiss(self) -> None:
        """Close the question without an answer: nothing is approved, nothing is said."""
        if self.is_open and not self.answer.done():
            self.answer.set_result("" if isinstance(self.request, InputRequest) else "no")

    def answer_with(self, text: str) -> str:
        """Take the typed text as the answer; return an error message if it is none."""
        if not self.is_open or self.answer.done():
            return ""
        if isinstance(self.request, InputRequest):
            self.answer.set_result(text)
        elif self.is_editing:
            return self._take_arguments(text)
        elif self._editable and text.strip().casefold() in {"e", "edit"}:
            self.is_editing = True
            self.draft = json.dumps(dict(self.request.arguments), ensure_ascii=False, indent=1)
        elif (decision := answer_for(self.request, text)) is None:
            return self.hint
        else:
            self.answer.set_result(decision)
        return ""

    def _take_arguments(self, text: str) -> str:
        try:
            arguments = json.loads(text)
        except (ValueError, RecursionError) as error:
            return f"This is not JSON: {error}"
        if not isinstance(arguments, dict):
            return "This is not a JSON object: { … }"
        self.answer.set_result(EditedArguments(arguments))
        return ""


def approval_lines(request: ApprovalRequest, width: int, height: int) -> list[Line]:
    """Draw a call that needs approval, and its change to a file; a long one is followed by a short form that fits."""
    if request.diff:
        blocks = [[line for row in request.diff.removesuffix("\n").split("\n") for line in _diff_row(row, width)]]
    else:
        blocks = [_argument(key, value, width) for key, value in request.arguments.items()]
    blocks += [paragraph(_on_one_line(remark), width, "class:notice", lead="  ") for remark in request.remarks]
    return _fitted(request.path, f"wants to use {_on_one_line(request.tool)}", blocks, width, height)


def input_lines(request: InputRequest, width: int, height: int) -> list[Line]:
    """Draw a question of a prompt object; if it takes more rows than `height`, a short form follows."""
    question = [line for row in request.question.splitlines() for line in paragraph(row, width, lead="  ")]
    choices = [paragraph(choice, width, lead=f"  {number}: ") for number, choice in enumerate(request.choices, 1)]
    return _fitted(request.path, "asks you", [question, *choices], width, height)


def approval_prompt(request: ApprovalRequest, width: int, *, editable: bool = True) -> str:
    """Return the prompt before the answer: the prompt object, the tool, the answers; long names are cut."""
    keys = f"[y/{'s/' if request.for_session else ''}N/never{'/e' if editable else ''}] "
    room = width - cell_width(keys) - _ANSWER_WIDTH
    name = fit(request.path[-1], max(room // 2, 4))
    return f"{name}: {fit(request.tool, max(room - cell_width(name) - 4, 4))}? {keys}"


def answer_for(request: ApprovalRequest, typed: str) -> Decision | None:
    """Return the decision that a typed answer stands for; None if it is no answer."""
    decision = _ANSWERS.get(typed.strip().casefold())
    return None if decision == "session" and not request.for_session else decision


def _fitted(path: Sequence[str], verb: str, blocks: Sequence[list[Line]], width: int, height: int) -> list[Line]:
    whole = [[], *_heading(path, f"{verb}:", width), *(line for block in blocks for line in block)]
    if len(whole) <= height:
        return whole
    head: list[Line] = [[], *_heading(path, f"{verb}; in short:", width)]
    room = max(height - len(head), 3)
    each = max(min(MAX_ROWS, room // len(blocks)), 3) if len(blocks) > 1 else room
    return [*whole, *head, *_ends([line for block in blocks for line in _ends(block, each)], room)]


def _heading(path: Sequence[str], verb: str, width: int) -> list[Line]:
    *askers, name = path
    by = f" (asked by {arrow_path(askers)})" if askers else ""
    return paragraph(f"{name}{by} {verb}", width, "class:notice")


def _ends(lines: list[Line], most: int) -> list[Line]:
    """Return the first and the last lines, and between them the number of the missing ones."""
    if len(lines) <= most:
        return lines
    first, last = most // 2, (most - 1) // 2
    omitted: Line = [("class:hint", f"  … {pluralize(len(lines) - first - last, 'more row')} above …")]
    return [*lines[:first], omitted, *lines[len(lines) - last :]]


def _argument(key: str, value: Any, width: int) -> list[Line]:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return paragraph(_on_one_line(f"{key}: {text}"), width, lead="  ")


def _diff_row(row: str, width: int) -> list[Line]:
    """Draw a row of a diff; the rest of a long one follows with a mark, so that it is not taken for another row."""
    style = {"+": "class:added", "-": "class:removed"}.get(row[:1], "class:call")
    first, *more = hard_wrap(_on_one_line(row.removesuffix("\r")), width - 1)
    return [[(style, first)], *([(style, f"…{rest}")] for rest in more)]


def _on_one_line(text: str) -> str:
    return clean(text).replace("\n", _BREAK)
