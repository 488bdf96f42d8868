"""The question whether a call may run, put to the person while a reply goes on."""

import asyncio
import json
from collections.abc import Callable, Sequence

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document

from prompt_objects.approval import Answer, Edited, Question
from prompt_objects.ui import drawing
from prompt_objects.ui.style import Line

__all__ = ["Asking"]

_PROMPT = "[y/s/N/never/e] "
_MEANING = "y: once · s: for this session · n: no · never: not in this session · e: edit what it is called with"
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
        self._answer: asyncio.Future[Answer] | None = None
        self._is_editing = False
        self._question: Question | None = None

    @property
    def is_open(self) -> bool:
        """Say whether an answer is waited for."""
        return self._answer is not None

    @property
    def prompt(self) -> str:
        """What stands before the answer."""
        return "{…} " if self._is_editing else _PROMPT

    async def ask(self, question: Question, width: int) -> Answer:
        """Show a question, and wait for the answer."""
        draft = self._buffer().document
        self._show(drawn(question, width))
        self._buffer().document = Document()
        self._question, self._answer = question, asyncio.get_running_loop().create_future()
        try:
            return await self._answer
        finally:
            self._question, self._answer, self._is_editing = None, None, False
            self._buffer().document = draft

    def take(self, text: str) -> str:
        """Take what the person typed as the answer; return what is wrong with it, if anything is."""
        if self._answer is None or self._question is None or self._answer.done():
            return ""
        if self._is_editing:
            return self._take_arguments(text)
        word = text.strip().casefold()
        if word in {"e", "edit"}:
            self._is_editing = True
            written = json.dumps(dict(self._question.arguments), ensure_ascii=False, indent=1)
            self._buffer().document = Document(written)
            return ""
        if word not in _ANSWERS:
            return _MEANING
        self._answer.set_result(_ANSWERS[word])
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


def drawn(question: Question, width: int) -> list[Line]:
    """Draw who wants to do what, by whom it was asked, and the change to a file that it would make."""
    *askers, name = question.path
    by = f" (asked by {' → '.join(askers)})" if askers else ""
    lines: list[Line] = [[], *drawing.sentence(f"{name}{by} wants to use {question.tool}:", width, "class:notice")]
    if question.diff:
        for row in question.diff.splitlines():
            style = {"+": "class:added", "-": "class:removed"}.get(row[:1], "class:call")
            lines += drawing.sentence(row, width, style)
    else:
        for key, value in question.arguments.items():
            written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            lines += drawing.sentence(f"  {key}: {written}", width)
    return [*lines, *drawing.sentence(_MEANING, width, "class:hint")]
