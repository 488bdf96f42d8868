"""Putting to the person what is asked in a turn."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from prompt_objects.approval import Answer, Question
from prompt_objects.person import Inquiry
from prompt_objects.ui.application import LineApplication
from prompt_objects.ui.asking import Asking
from prompt_objects.ui.scrollback import Scrollback
from prompt_objects.ui.view import room_to_ask

__all__ = ["Posing"]

_Asked = TypeVar("_Asked")
_Answered = TypeVar("_Answered")


class Posing:
    """Has what is asked stand below all that has happened until then, in the room that there is at that moment.

    What happens meanwhile is told after the answer.
    """

    def __init__(self, asking: Asking, scrollback: Scrollback, app: LineApplication) -> None:
        self._asking = asking
        self._scrollback = scrollback
        self._app = app

    async def ask(self, question: Question) -> Answer:
        """Ask whether a call may run."""
        return await self._pose(self._asking.ask, question)

    async def inquire(self, inquiry: Inquiry) -> str:
        """Ask what a prompt object wants to know."""
        return await self._pose(self._asking.inquire, inquiry)

    async def _pose(self, ask: Callable[[_Asked, int, int], Awaitable[_Answered]], asked: _Asked) -> _Answered:
        self._scrollback.catch_up()
        try:
            with self._scrollback.held():
                return await ask(asked, self._scrollback.width, room_to_ask(self._app.output.get_size().rows))
        finally:
            self._app.invalidate()
