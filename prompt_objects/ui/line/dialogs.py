"""Questions to the person: approvals and inputs, asked at the input line."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, TypeVar

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document

from prompt_objects.runtime.interaction import ApprovalRequest, Decision, EditedArguments, InputRequest
from prompt_objects.ui.line.application import LineApplication
from prompt_objects.ui.line.layout import room_to_ask
from prompt_objects.ui.line.scrollback import Scrollback
from prompt_objects.ui.render import questions
from prompt_objects.ui.render import text as drawing
from prompt_objects.ui.render.questions import FREE_PROMPT, REST_SECONDS, answer_for
from prompt_objects.ui.render.style import Line

__all__ = [
    "DialogPresenter",
    "QuestionDialog",
    "TypingPause",
]


class QuestionDialog:
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
        self._question: ApprovalRequest | InputRequest | None = None
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
        if not isinstance(self._question, ApprovalRequest):
            return FREE_PROMPT
        return "{…} " if self._is_editing else questions.prompt(self._question, width)

    async def approve(self, question: ApprovalRequest, width: int, height: int) -> Decision:
        """Ask whether a call may run, and wait for the answer."""
        legend = drawing.paragraph(questions.approval_hint(question), width, "class:hint")
        shown = questions.approval_lines(question, width, height - len(legend))
        answer: Decision = await self._answered(question, shown, legend)
        return answer

    async def ask(self, inquiry: InputRequest, width: int, height: int) -> str:
        """Ask what a prompt object wants to know, and wait for the answer, which stays on the screen."""
        legend = drawing.paragraph(questions.input_hint(inquiry), width, "class:hint")
        shown = questions.input_lines(inquiry, width, height - len(legend))
        text: str = await self._answered(inquiry, shown, legend)
        self._show(drawing.user_message(FREE_PROMPT, text, width))
        return text

    async def _answered(
        self, question: ApprovalRequest | InputRequest, shown: Sequence[Line], legend: Sequence[Line]
    ) -> Any:
        self._is_posed, self._was_typing = True, bool(self._buffer().text)
        self._shown = list(shown)
        try:
            self._show(shown)
            await self._rested()
            return await self._opened(question, legend)
        finally:
            self._is_posed, self._shown = False, []

    async def _opened(self, question: ApprovalRequest | InputRequest, legend: Sequence[Line]) -> Any:
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
            self._answer.set_result("no" if isinstance(self._question, ApprovalRequest) else "")

    def take(self, text: str) -> str:
        """Take what the person typed as the answer; return what is wrong with it, if anything is."""
        if self._answer is None or self._answer.done():
            return ""
        if not isinstance(self._question, ApprovalRequest):
            self._give(text)
        elif self._is_editing:
            return self._take_arguments(text)
        elif text.strip().casefold() in {"e", "edit"}:
            self._is_editing = True
            self._given = json.dumps(dict(self._question.arguments), ensure_ascii=False, indent=1)
            self._buffer().document = Document(self._given)
        elif (answer := answer_for(self._question, text)) is None:
            return questions.approval_hint(self._question)
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
        self._give(EditedArguments(arguments))
        return ""

    def _give(self, answer: Decision | str) -> None:
        if self._answer is not None:
            self._buffer().document = Document()
            self._answer.set_result(answer)


class TypingPause:
    """Knows when a key was last pressed."""

    def __init__(self) -> None:
        self._since = monotonic()

    def touch(self) -> None:
        """Note that a key was pressed."""
        self._since = monotonic()

    async def taken(self) -> None:
        """Wait, from now on, until no key was pressed for `REST_SECONDS`."""
        self.touch()
        left = REST_SECONDS
        while left > 0:
            await asyncio.sleep(left)
            left = self._since + REST_SECONDS - monotonic()


_Asked = TypeVar("_Asked")
_Answered = TypeVar("_Answered")


class DialogPresenter:
    """Has what is asked stand below all that has happened until then, in the room that there is at that moment.

    What happens meanwhile is told after the answer.
    """

    def __init__(self, asking: QuestionDialog, scrollback: Scrollback, app: LineApplication) -> None:
        self._asking = asking
        self._scrollback = scrollback
        self._app = app

    async def approve(self, request: ApprovalRequest) -> Decision:
        return await self._pose(self._asking.approve, request)

    async def ask(self, request: InputRequest) -> str:
        return await self._pose(self._asking.ask, request)

    async def _pose(self, ask: Callable[[_Asked, int, int], Awaitable[_Answered]], asked: _Asked) -> _Answered:
        self._scrollback.catch_up()
        try:
            with self._scrollback.held():
                return await ask(asked, self._scrollback.width, room_to_ask(self._app.output.get_size().rows))
        finally:
            self._app.invalidate()
