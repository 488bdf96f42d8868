"""A question to the user while it is open, and the meaning of the answer that is typed."""

import asyncio
import json
from functools import partial
from typing import Any

from prompt_objects.runtime.interaction import ApprovalRequest, Decision, EditedArguments, InputRequest
from prompt_objects.ui.render.questions import FREE_PROMPT, Drawing, approval_prompt, draw_approval, draw_input
from prompt_objects.ui.render.reveal import escape_hidden
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.render.text import paragraph
from prompt_objects.utils.concurrency import run_in_daemon_thread

REST_SECONDS = 0.7
"""Longer than the pauses of a user who is typing, and about the time it takes to notice a question."""
_LARGE = 50_000
"""Characters of a question that takes noticeably long to draw."""
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
        self._drawing = Drawing([], [])
        self._is_read = False
        self._opened: list[Line] = []

    @property
    def hint(self) -> str:
        return self._hint(is_long=bool(self._drawing.short))

    def _hint(self, *, is_long: bool) -> str:
        if isinstance(self.request, InputRequest):
            answer = "a number or your own answer" if self.request.choices else "your answer"
            return f"Type {answer}; an empty line or Esc skips the question."
        session = "s: this session · " if self.request.for_session else ""
        others = f"{' · e: edit' * self._editable}{' · v: view all' * is_long}"
        return f"y: once · {session}n: no · never: not this session{others}"

    def lines(self, width: int, height: int) -> tuple[list[Line], list[Line]]:
        """Draw the question, and below it the hint, so that both fit in `height` lines."""
        room = height - len(paragraph(self._hint(is_long=True), width))
        self._drawing = (
            draw_input(self.request, width, room)
            if isinstance(self.request, InputRequest)
            else draw_approval(self.request, width, room)
        )
        self._is_read = not self._drawing.is_closed
        return self._drawing.lines, paragraph(self.hint, width, "class:hint")

    async def draw(self, width: int, height: int) -> tuple[list[Line], list[Line]]:
        """Return what `lines` returns; a very long question is drawn in a thread, so that the keys work meanwhile."""
        if len(str(self.request)) < _LARGE:
            return self.lines(width, height)
        return await run_in_daemon_thread(partial(self.lines, width, height))

    def take_opened(self) -> list[Line]:
        """Return the lines to show since the last answer: the whole question, if the answer has opened it."""
        lines, self._opened = self._opened, []
        return lines

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
            self.draft = escape_hidden(json.dumps(dict(self.request.arguments), ensure_ascii=False, indent=1))
        elif self._drawing.short and text.strip().casefold() in {"v", "view"}:
            self._open_whole()
        elif (decision := answer_for(self.request, text)) is None:
            return self.hint
        elif decision in {"once", "session"} and not self._is_read:
            self._open_whole()
            return "Read it to its end, then answer again."
        else:
            self.answer.set_result(decision)
        return ""

    def _open_whole(self) -> None:
        self._opened = [*self._drawing.whole, *self._drawing.short]
        self._is_read = True

    def _take_arguments(self, text: str) -> str:
        try:
            arguments = json.loads(text)
        except (ValueError, RecursionError) as error:
            return f"This is not JSON: {error}"
        if not isinstance(arguments, dict):
            return "This is not a JSON object: { … }"
        self.answer.set_result(EditedArguments(arguments))
        return ""


def answer_for(request: ApprovalRequest, typed: str) -> Decision | None:
    """Return the decision that a typed answer stands for; None if it is no answer."""
    decision = _ANSWERS.get(typed.strip().casefold())
    return None if decision == "session" and not request.for_session else decision
