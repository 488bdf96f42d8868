"""What the person is asked while a reply goes on: whether a call may run, and what a prompt object wants to know."""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document

from prompt_objects.approval import Answer, Edited, Question
from prompt_objects.person import Inquiry
from prompt_objects.ui import drawing
from prompt_objects.ui.style import Line

__all__ = ["FREE_PROMPT", "Asking", "answer_for", "drawn", "posed"]

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
    """What is asked at this moment, if anything is. The line that was being typed comes back after the answer."""

    def __init__(self, buffer: Callable[[], Buffer], show: Callable[[Sequence[Line]], None]) -> None:
        self._buffer = buffer
        self._show = show
        self._answer: asyncio.Future[Any] | None = None
        self._is_editing = False
        self._question: Question | None = None  # None where anything may be answered

    @property
    def is_open(self) -> bool:
        """Say whether an answer is waited for."""
        return self._answer is not None

    @property
    def prompt(self) -> str:
        """What stands before the answer."""
        if self._question is None:
            return FREE_PROMPT
        return "{…} " if self._is_editing else _prompt(self._question)

    async def ask(self, question: Question, width: int) -> Answer:
        """Ask whether a call may run, and wait for the answer."""
        self._question = question
        answer: Answer = await self._answered(drawn(question, width))
        return answer

    async def inquire(self, inquiry: Inquiry, width: int) -> str:
        """Ask what a prompt object wants to know, and wait for the answer, which stays on the screen."""
        text: str = await self._answered(posed(inquiry, width))
        self._show(drawing.said(FREE_PROMPT, text, width))
        return text

    async def _answered(self, shown: Sequence[Line]) -> Any:
        draft = self._buffer().document
        self._show(shown)
        self._buffer().document = Document()
        self._answer = asyncio.get_running_loop().create_future()
        try:
            return await self._answer
        finally:
            self._question, self._answer, self._is_editing = None, None, False
            self._buffer().document = draft

    def dismiss(self) -> None:
        """Leave the question without an answer: nothing may run, and nothing is said."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result("no" if self._question else "")

    def take(self, text: str) -> str:
        """Take what the person typed as the answer; return what is wrong with it, if anything is."""
        if self._answer is None or self._answer.done():
            return ""
        if self._question is None:
            self._answer.set_result(text)
            return ""
        if self._is_editing:
            return self._take_arguments(text)
        word = text.strip().casefold()
        if word in {"e", "edit"}:
            self._is_editing = True
            written = json.dumps(dict(self._question.arguments), ensure_ascii=False, indent=1)
            self._buffer().document = Document(written)
            return ""
        answer = answer_for(self._question, text)
        if answer is None:
            return _meaning(self._question)
        self._answer.set_result(answer)
        return ""

    def _take_arguments(self, text: str) -> str:
        try:
            arguments = json.loads(text)
        except (ValueError, RecursionError) as error:
            return f"That is no JSON: {error}"
        if not isinstance(arguments, dict):
            return "That is no JSON object: { … }"
        if self._answer is not None:
            self._answer.set_result(Edited(arguments))
        return ""


def answer_for(question: Question, typed: str) -> Answer | None:
    """Return what a word means as an answer to a question; None where it is none."""
    answer = _ANSWERS.get(typed.strip().casefold())
    return None if answer == "session" and not question.for_session else answer


def drawn(question: Question, width: int, *, editable: bool = True) -> list[Line]:
    """Draw who wants to do what, by whom it was asked, and the change to a file that it would make."""
    lines: list[Line] = [[], *_headed(question.path, f"wants to use {question.tool}:", width)]
    if question.diff:
        for row in question.diff.splitlines():
            style = {"+": "class:added", "-": "class:removed"}.get(row[:1], "class:call")
            lines += drawing.code(row, width, style)
    else:
        for key, value in question.arguments.items():
            written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            lines += drawing.sentence(f"{key}: {written}", width, lead="  ")
    for remark in question.remarks:
        lines += drawing.sentence(remark, width, "class:notice")
    return [*lines, *drawing.sentence(_meaning(question, editable=editable), width, "class:hint")]


def posed(inquiry: Inquiry, width: int) -> list[Line]:
    """Draw who wants to know what, and by whom it was asked."""
    lines: list[Line] = [[], *_headed(inquiry.path, "asks you:", width)]
    for row in inquiry.question.splitlines():
        lines += drawing.sentence(row, width, lead="  ")
    for number, choice in enumerate(inquiry.choices, 1):
        lines += drawing.sentence(choice, width, lead=f"  {number}: ")
    way = "A number, or your own words" if inquiry.choices else "Your own words"
    return [*lines, *drawing.sentence(f"{way}; nothing, or Esc, leaves it unanswered.", width, "class:hint")]


def _headed(path: Sequence[str], does: str, width: int) -> list[Line]:
    *askers, name = path
    by = f" (asked by {' → '.join(askers)})" if askers else ""
    return drawing.sentence(f"{name}{by} {does}", width, "class:notice")


def _prompt(question: Question) -> str:
    return "[y/s/N/never/e] " if question.for_session else "[y/N/never/e] "


def _meaning(question: Question, *, editable: bool = True) -> str:
    lasting = "s: for this session · " if question.for_session else ""
    editing = " · e: edit what it is called with" if editable else ""
    return f"y: once · {lasting}n: no · never: not in this session{editing}"
