"""Putting to the person what is asked in a turn."""

from prompt_objects.approval import Answer, Question
from prompt_objects.person import Inquiry
from prompt_objects.ui.application import LineApplication
from prompt_objects.ui.asking import Asking
from prompt_objects.ui.scrollback import Scrollback
from prompt_objects.ui.view import room_to_ask

__all__ = ["Posing"]


class Posing:
    """Has what is asked stand below all that has happened until then, in the room that there is at that moment."""

    def __init__(self, asking: Asking, scrollback: Scrollback, app: LineApplication) -> None:
        self._asking = asking
        self._scrollback = scrollback
        self._app = app

    async def ask(self, question: Question) -> Answer:
        """Ask whether a call may run."""
        self._scrollback.catch_up()
        try:
            return await self._asking.ask(question, self._scrollback.width, self._room())
        finally:
            self._app.invalidate()

    async def inquire(self, inquiry: Inquiry) -> str:
        """Ask what a prompt object wants to know."""
        self._scrollback.catch_up()
        try:
            return await self._asking.inquire(inquiry, self._scrollback.width, self._room())
        finally:
            self._app.invalidate()

    def _room(self) -> int:
        return room_to_ask(self._app.output.get_size().rows)
