"""Questions of prompt objects, answered in the input line."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document

from prompt_objects.runtime.interaction import InputRequest
from prompt_objects.ui.question import Question
from prompt_objects.ui.render.questions import FREE_PROMPT, REST_SECONDS
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.render.text import user_message


async def pose(
    question: Question,
    buffer: Buffer,
    show: Callable[[Sequence[Line]], None],
    size: tuple[int, int],
    rested: Callable[[], Awaitable[None]],
) -> None:
    """Show a question, take its answer from the input after `rested`, and then restore the draft.

    Text typed before `rested` belongs to the draft. A typed text that was not given as an answer goes into the
    history.
    """
    width, height = size
    shown, hint = question.lines(width, height)
    question.shown += shown
    question.is_early = not buffer.text
    show(shown)
    await rested()
    draft, buffer.document = buffer.document, Document()
    question.shown += hint
    question.is_early, question.is_open = False, True
    show(hint)
    try:
        await question.answer
    finally:
        question.is_open = False
        if buffer.text.strip() and buffer.text != question.draft:
            buffer.append_to_history()
        buffer.document = draft
    if isinstance(question.request, InputRequest):
        show(user_message(FREE_PROMPT, question.answer.result(), width))


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
        remaining = REST_SECONDS
        while remaining > 0:
            await asyncio.sleep(remaining)
            remaining = self._since + REST_SECONDS - monotonic()
