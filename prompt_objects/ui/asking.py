"""What the person is asked while a reply goes on: whether a call may run, and what a prompt object wants to know."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document

from prompt_objects.approval import Answer, Edited, Question
from prompt_objects.person import Inquiry
from prompt_objects.ui import drawing, questions
from prompt_objects.ui.style import Line

__all__ = ["FREE_PROMPT", "Asking", "answer_for"]

FREE_PROMPT = "answer: "
_ANSWERS: dict[str, Answer] = {
    "y": "once",
    "yes": "once",
    "s": "session",
    "session": "session",
    "": "no",
    "n": "no",
    "no": "no",
    "never": "never",
}


class Asking:
    """What is asked at this moment, if anything is. The line that was being typed comes back after the answer.

    A question is shown at once. Its answer is taken only after `rested`: what is typed until then belongs to the
    line.
    """

    def __init__(
        self,
        buffer: Callable[[], Buffer],
        show: Callable[[Sequence[Line]], None],
        rested: Callable[[], Awaitable[None]],
    ) -> None:
        self._buffer = buffer
        self._show = show
        self._rested = rested
        self._is_posed = False
        self._was_typing = False
        self._answer: asyncio.Future[Any] | None = None
        self._is_editing = False
        self._given = ""  # what stood in the line before anything was typed as an answer
        self._question: Question | Inquiry | None = None
        self._shown: list[Line] = []

    @property
    def is_posed(self) -> bool:
        """Say whether there is a question on the screen."""
        return self._is_posed

    @property
    def is_open(self) -> bool:
        """Say whether an answer is waited for."""
        return self._answer is not None

    @property
    def is_early(self) -> bool:
        """Say whether a line that is sent now may be meant for a question for which it is too soon."""
        return self._is_posed and not self.is_open and not self._was_typing

    @property
    def session_id(self) -> str:
        """The session of the prompt object that asks."""
        return self._question.session_id if self._question else ""

    def prompt(self, width: int) -> str:
        """Write what stands before the answer."""
        if not isinstance(self._question, Question):
            return FREE_PROMPT
        return "{…} " if self._is_editing else questions.prompt(self._question, width)

    async def ask(self, question: Question, width: int, height: int) -> Answer:
        """Ask whether a call may run, and wait for the answer."""
        legend = drawing.sentence(questions.meaning(question), width, "class:hint")
        shown = questions.drawn(question, width, height - len(legend))
        answer: Answer = await self._answered(question, shown, legend)
        return answer

    async def inquire(self, inquiry: Inquiry, width: int, height: int) -> str:
        """Ask what a prompt object wants to know, and wait for the answer, which stays on the screen."""
        legend = drawing.sentence(questions.way(inquiry), width, "class:hint")
        shown = questions.posed(inquiry, width, height - len(legend))
        text: str = await self._answered(inquiry, shown, legend)
        self._show(drawing.said(FREE_PROMPT, text, width))
        return text

    async def _answered(self, question: Question | Inquiry, shown: Sequence[Line], legend: Sequence[Line]) -> Any:
        self._is_posed, self._was_typing = True, bool(self._buffer().text)
        self._shown = list(shown)
        try:
            self._show(shown)
            await self._rested()
            return await self._opened(question, legend)
        finally:
            self._is_posed, self._shown = False, []

    async def _opened(self, question: Question | Inquiry, legend: Sequence[Line]) -> Any:
        draft = self._buffer().document
        self._buffer().document = Document()
        self._question, self._answer = question, asyncio.get_running_loop().create_future()
        self._shown += legend
        self._show(legend)
        try:
            return await self._answer
        finally:
            self._keep()
            self._question, self._answer, self._is_editing, self._given = None, None, False, ""
            self._buffer().document = draft

    def _keep(self) -> None:
        """Have Up bring back what was typed and not given as an answer."""
        text = self._buffer().text
        if text.strip() and text != self._given:
            self._buffer().reset(append_to_history=True)

    def repeat(self) -> None:
        """Show what is asked, if anything is, once more, below what was printed since."""
        if self._shown:
            self._show(self._shown)

    def dismiss(self) -> None:
        """Leave the question without an answer: nothing may run, and nothing is said."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result("no" if isinstance(self._question, Question) else "")

    def take(self, text: str) -> str:
        """Take what the person typed as the answer; return what is wrong with it, if anything is."""
        if self._answer is None or self._answer.done():
            return ""
        if not isinstance(self._question, Question):
            self._give(text)
        elif self._is_editing:
            return self._take_arguments(text)
        elif text.strip().casefold() in {"e", "edit"}:
            self._is_editing = True
            self._given = json.dumps(dict(self._question.arguments), ensure_ascii=False, indent=1)
            self._buffer().document = Document(self._given)
        elif (answer := answer_for(self._question, text)) is None:
            return questions.meaning(self._question)
        else:
            self._give(answer)
        return ""

    def _take_arguments(self, text: str) -> str:
        try:
            arguments = json.loads(text)
        except (ValueError, RecursionError) as error:
            return f"That is no JSON: {error}"
        if not isinstance(arguments, dict):
            return "That is no JSON object: { … }"
        self._give(Edited(arguments))
        return ""

    def _give(self, answer: Answer | str) -> None:
        if self._answer is not None:
            self._buffer().document = Document()
            self._answer.set_result(answer)


def answer_for(question: Question, typed: str) -> Answer | None:
    """Return what a word means as an answer to a question; None where it is none."""
    answer = _ANSWERS.get(typed.strip().casefold())
    return None if answer == "session" and not question.for_session else answer
