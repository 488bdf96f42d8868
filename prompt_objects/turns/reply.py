"""`Reply`: what a turn returns."""

from typing import Self

from msgspec import Struct

from prompt_objects.llm.base import Usage
from prompt_objects.message import Message, text_of
from prompt_objects.sessions.session import Session


class Reply(Struct, frozen=True):
    """The reply of a turn: its text, its session, and the model and tokens of this turn without its delegations.

    `interrupted` says why the server or a limit cut it off, None if it is complete.
    """

    text: str
    session: Session
    model: str
    usage: Usage
    interrupted: str | None = None

    @classmethod
    def of(cls, message: Message, session: Session, usage: Usage) -> Self:
        """Return the reply with the text of a saved response."""
        return cls(text_of(message), session, str(message["model"]), usage, message.get("interrupted"))
