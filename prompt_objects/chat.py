"""One person's conversation, free of any screen: which prompt object, which session, what is said."""

from typing import TYPE_CHECKING

from prompt_objects.environment import Environment
from prompt_objects.errors import PromptObjectsError
from prompt_objects.prompt_object import PromptObject
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.record import SessionInfo
from prompt_objects.sessions.session import Session

if TYPE_CHECKING:
    from prompt_objects.turn import Reply

__all__ = ["Chat"]


class Chat:
    """Where a person is, and the few things that a person can do from there."""

    def __init__(self, environment: Environment, po: PromptObject, session: Session) -> None:
        self.environment = environment
        self.po = po
        self.session = session
        self.open(session)

    @property
    def manager(self) -> SessionManager:
        """The sessions of the prompt object that the person talks to."""
        return self.po.session_manager

    @property
    def model(self) -> str:
        """The name of the model that would answer; empty while it is not known yet."""
        try:
            return self.environment.known_model(self.po.name)
        except PromptObjectsError:
            return ""

    def sessions(self) -> list[SessionInfo]:
        """List the sessions of the prompt object, the latest first."""
        return self.manager.list()

    def trash(self) -> list[SessionInfo]:
        """List the deleted sessions of the prompt object, the last deleted first."""
        return [trashed.info for trashed in self.manager.trash()]

    def open(self, session: Session) -> None:
        """Go to a session of the prompt object; raises `NotFound`."""
        self.environment.last_used.use_object(self.po.name)
        self.session = self.manager.switch(session.id)

    def move(self, name: str) -> None:
        """Go to another prompt object, to the session last used there; raises `NotFound`."""
        po = self.environment[name]
        session = po.session_manager.current()
        self.po = po
        self.open(session)

    async def say(self, text: str) -> "Reply":
        """Send a message and wait for the answer; raises what `PromptObject.receive` raises."""
        return await self.po.receive(text, self.environment.context(), self.session)

    async def retry(self) -> "Reply":
        """Have the last message answered anew; raises what `PromptObject.retry` raises."""
        return await self.po.retry(self.environment.context(), self.session)

    def describe_model(self) -> str:
        """Find the model that answers here, and say which one it is and where; blocks for a moment."""
        return str(self.environment.connection_for(self.po.definition))

    def warm_up(self) -> list[str]:
        """Load what the first message will need, and say what a person should know; blocks for half a second."""
        try:
            model = self.describe_model()
        except PromptObjectsError as error:
            model = str(error)
        return [model, *self.environment.findings()]

    def notices(self) -> list[str]:
        """Return, once, what happened to the sessions that a person should know, such as that one was repaired."""
        return self.environment.store.notices()
