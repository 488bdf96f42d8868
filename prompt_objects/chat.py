"""One person's conversation, free of any screen: which prompt object, which session, what is said."""

from typing import TYPE_CHECKING

from prompt_objects.environment import Environment
from prompt_objects.errors import PromptObjectsError
from prompt_objects.prompt_object import PromptObject
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session, SessionInfo

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

    def open(self, session: Session) -> None:
        """Go to a session of the prompt object; raises `NotFound`."""
        self.environment.store.last_used.use_object(self.po.name)
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

    def connect(self) -> str:
        """Find the model that answers here, and say in a sentence which one it is; blocks for a moment."""
        connection = self.environment.connection(self.po.definition)
        return f"{connection.llm.model}: {connection.origin}"

    def warm_up(self) -> list[str]:
        """Load what the first message will need, and say what a person should know; blocks for half a second."""
        try:
            told = [self.connect()]
        except PromptObjectsError as error:
            told = [str(error)]
        import openai  # noqa: F401 - the heaviest import there is

        return [*told, *(f"faulty: {fault}" for fault in self.environment.catalogue.faults())]

    def notices(self) -> list[str]:
        """Return, once, what happened to the sessions that a person should know, such as that one was repaired."""
        return self.environment.store.notices()
