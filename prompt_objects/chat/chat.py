"""One person's conversation, free of any screen: which prompt object, which session, what is said."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_objects.environment.environment import Environment, PromptObject
from prompt_objects.errors import Ambiguous, Busy, NotFound, PromptObjectsError, UsageError
from prompt_objects.message import Message, is_unfinished, live_messages
from prompt_objects.runtime.active_turns import ActiveTurn
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.events import BudgetUpdated, Event, MessageSaved, TurnStarted
from prompt_objects.sessions.info import SessionInfo
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import lease_holder
from prompt_objects.sessions.workspace import workspace_of
from prompt_objects.utils.process import ProcessInfo
from prompt_objects.utils.text import NAME, did_you_mean

if TYPE_CHECKING:
    from prompt_objects.turns.turn import Reply

__all__ = [
    "Chat",
]

_MENTION = re.compile(rf"@({NAME})\s+(\S.*)", re.DOTALL)
_LOOKED_BACK = 40
"""Messages from which it is seen whether a session was left unanswered."""


class Chat:
    """Where a person is, and the few things that a person can do from there.

    `pending` is what was to be sent and was not, such as while somebody else was at the session; `holder` is who that
    is, as far as is known. With `news` all that happens is to be told, line by line.
    """

    def __init__(self, environment: Environment, po: PromptObject, session: Session) -> None:
        self.environment = environment
        self.po = po
        self.session = session
        self.pending = ""
        self.holder: ProcessInfo | None = None
        self._sent = ""
        self._sent_to = ""
        self._spent: BudgetUpdated | None = None
        self._saying_in = ""
        self.news = False
        self.open(session)

    @property
    def manager(self) -> SessionManager:
        """The sessions of the prompt object that the person talks to."""
        return self.po.session_manager

    @property
    def model(self) -> str:
        """The name of the model that would answer; empty while it is not known yet."""
        try:
            return self.po.connected_model
        except PromptObjectsError:
            return ""

    @property
    def is_pending_here(self) -> bool:
        """Say whether something is to be sent in this session; what is still being sent elsewhere is not."""
        return bool(self.pending) and self._saying_in in {"", self.session.id}

    @property
    def spent(self) -> BudgetUpdated | None:
        """What the last message has taken so far, delegations included, where it was said in this session."""
        return self._spent if self._sent_to == self.session.id else None

    @property
    def workspace(self) -> Path:
        """Where what belongs to this conversation is kept; raises `StoreError`."""
        return workspace_of(self.session.info, self.environment.storage.store, self.environment.storage.workspace)

    def sessions(self) -> list[SessionInfo]:
        """List the sessions of the prompt object, the latest first."""
        return self.manager.list()

    def trash(self) -> list[SessionInfo]:
        """List the deleted sessions of the prompt object, the last deleted first."""
        return [trashed.info for trashed in self.manager.trash()]

    def open(self, session: Session) -> None:
        """Go to a session of the prompt object; raises `NotFound`."""
        self.environment.storage.last_used.use_object(self.po.name)
        is_other = session.id != self.session.id
        self.session = self.manager.switch(session.id)
        if is_other:
            self.pending, self.holder = self.pending if self._saying_in else "", None

    def move(self, name: str) -> None:
        """Go to another prompt object, to where it is at work, else to its session last used; raises `NotFound`."""
        po = self.environment[name]
        turns = self.environment.active_turns.of(name)
        session = turns[-1].session if turns else po.session_manager.current()
        self.po = po
        self.open(session)

    def branch(self) -> None:
        """Go on in a copy of the session; what somebody else is having answered in it is left out."""
        held = self.holder_of(self.session) is not None
        self.open(self.manager.branch_before_pending(self.session) if held else self.manager.branch(self.session.id))

    def find(self, key: str) -> Session:
        """Find a session of this prompt object, else of any; the current one is the one that is known here."""
        try:
            found = self.manager.get(key)
        except Ambiguous:
            raise
        except NotFound:
            found = self.environment.session_manager.get(key)
        return self.session if found.id == self.session.id else found

    # The conversation

    async def send(self, text: str, *, wait: float | None = 0) -> "Reply":
        """Send a message and wait for the answer; raises what `PromptObject.receive` raises.

        It is `pending` until `hear` is told that it is saved. `@name message` goes to another prompt object, to
        the session last used there.
        """
        self.pending = text
        context = self._begin()
        name, meant = self.parse_mention(text)
        self._saying_in = self.session.id
        try:
            if name:
                return await self.environment[name].receive(meant, context, wait=wait)
            return await self.po.receive(meant, context, self.session, wait=wait)
        except Busy as busy:
            self.holder = self.holder if name else busy.holder
            busy.hint = "/wait sends your message once it is free, /branch in a copy; /watch looks on."
            raise
        finally:
            self._saying_in = ""

    async def retry(self) -> "Reply":
        """Have the last message answered anew; raises what `PromptObject.retry` raises."""
        return await self.po.retry(self._begin(), self.session)

    async def resume(self) -> "Reply":
        """Go on where a turn was interrupted; raises what `PromptObject.resume` raises."""
        return await self.po.resume(self._begin(), self.session)

    def _begin(self) -> Context:
        """Make the context of a turn; what is spent is counted from here on."""
        context = self.environment.context()
        self._sent, self._sent_to, self._spent = context.root, "", None
        return context

    def parse_mention(self, text: str) -> tuple[str, str]:
        """Tell whom `@name message` is for, and the message; no name where it is for the one that is talked to.

        Raises `NotFound` for a name that is nearly one.
        """
        mention = _MENTION.fullmatch(text)
        if not mention:
            return "", text
        name, meant = mention.groups()
        names = self.environment.catalog.names()
        if name in names:
            return name, meant
        if hint := did_you_mean(name, names):
            raise NotFound(f"There is no prompt object {name!r}.", hint=hint)
        return "", text

    # Turns under way

    def turns(self, key: str | None = None) -> list[ActiveTurn]:
        """Find turns under way by a prompt object's name or a session's; without, that of the current session.

        Raises `NotFound` where a key is neither.
        """
        running = self.environment.active_turns
        if key in self.environment.catalog:
            return running.of(str(key))
        turn = running.in_session(self.find(key).id if key else self.session.id)
        return [turn] if turn else []

    def steer(self, text: str) -> ActiveTurn:
        """Have the turn in this session, or that of `@name message`, read a message before it goes on.

        Raises `UsageError` where there is no such turn, or more than one.
        """
        name, meant = self.parse_mention(text)
        turns = self.environment.active_turns.of(name) if name else self.turns()
        who = name or self.session.name
        if len(turns) > 1:
            raise UsageError(f"{who} is at work {len(turns)} times; go to one of its sessions first.")
        if not turns or not turns[0].steer(meant):
            raise UsageError(f"{who} is not at work now; it can be asked when the answer is there.")
        return turns[0]

    def is_interrupted(self) -> bool:
        """Say whether the session stops before an answer that nobody is working on, as far as that can be seen."""
        try:
            if self.turns() or self.holder_of(self.session):
                return False
            messages = self.session.tail(_LOOKED_BACK)
        except PromptObjectsError:
            return False  # whoever goes on is told
        return is_unfinished(live_messages(messages, first=self.session.message_count - len(messages)))

    def handle(self, event: Event) -> None:
        """Note what an event says of the message being sent, of who is at the session, and of what was spent."""
        if isinstance(event, BudgetUpdated) and event.root == self._sent:
            self._spent = event
        if isinstance(event, TurnStarted) and event.run == self._sent:
            self._sent_to = event.session_id
        if isinstance(event, TurnStarted) and event.session_id == self.session.id:
            self.holder = None
        elif isinstance(event, MessageSaved) and event.run == self._sent and event.message.get("role") == "user":
            self.pending = ""

    # Others

    def holder_of(self, session: Session) -> ProcessInfo | None:
        """Return who else is at a session at this moment, if anybody is; raises `StoreError`."""
        holder = lease_holder(self.environment.storage.store, session.id)
        return None if holder is None or holder.is_current else holder

    def poll(self) -> list[Message]:
        """See who else is at the session, and return what others added; raises what `Session.refresh` raises."""
        session = self.session
        update = session.poll()
        if session is self.session:
            self.holder = None if update.holder is None or update.holder.is_current else update.holder
        return update.messages

    def keep_up(self) -> list[str]:
        """Do what is due in the background, and say in sentences what did not succeed; may take a while."""
        try:
            return self.environment.storage.run_maintenance()
        except PromptObjectsError as error:
            return [f"Backing up or pruning did not succeed: {error}"]
        except Exception as error:  # noqa: BLE001 - a defect in the upkeep is no reason to end a conversation
            return [f"Backing up or pruning failed: {error!r}"]

    # What a person should know

    def describe_model(self) -> str:
        """Find the model that answers here, and say which one it is and where; blocks for a moment."""
        return str(self.environment.models.connection_for(self.po.definition))

    def warm_up(self) -> list[str]:
        """Load what the first message will need, and say what a person should know; blocks for half a second."""
        try:
            model = self.describe_model()
        except PromptObjectsError as error:
            model = str(error)
        try:
            return [model, *self.environment.problems()]
        except PromptObjectsError as error:  # such as a definition that went while it was looked for
            return [model, str(error)]

    def notices(self) -> list[str]:
        """Return, once, what happened to the sessions that a person should know, such as that one was repaired."""
        return self.environment.storage.take_notices()
