"""A question to the user while it is open: its text, and the meaning of the answer that is typed."""

import asyncio
import json
from typing import Any

from prompt_objects.runtime.interaction import ApprovalRequest, EditedArguments, InputRequest
from prompt_objects.ui.render import questions
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.render.text import paragraph


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
        """Whether a line that is sent now was begun after the question appeared, before it was opened."""
        self.is_editing = False
        self._editable = editable

    @property
    def hint(self) -> str:
        """The possible answers, in words."""
        if isinstance(self.request, InputRequest):
            return questions.input_hint(self.request)
        return questions.approval_hint(self.request, editable=self._editable)

    def lines(self, width: int, height: int) -> tuple[list[Line], list[Line]]:
        """Draw the question, and below it the hint, so that both fit in `height` lines."""
        hint = paragraph(self.hint, width, "class:hint")
        if isinstance(self.request, InputRequest):
            return questions.input_lines(self.request, width, height - len(hint)), hint
        return questions.approval_lines(self.request, width, height - len(hint)), hint

    def prompt(self, width: int) -> str:
        """Return the prompt before the answer."""
        if isinstance(self.request, InputRequest):
            return questions.FREE_PROMPT
        return "{…} " if self.is_editing else questions.approval_prompt(self.request, width, editable=self._editable)

    def dismiss(self) -> None:
        """Close the question without an answer: nothing is approved, nothing is said."""
        if self.is_open and not self.answer.done():
            self.answer.set_result("" if isinstance(self.request, InputRequest) else "no")

    def take(self, text: str) -> str:
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
        elif (decision := questions.answer_for(self.request, text)) is None:
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
