"""A conversation between the user and prompt objects, without any user interface."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_objects.environment.environment import Environment
from prompt_objects.environment.prompt_object import PromptObject
from prompt_objects.errors import Ambiguous, Busy, NotFound, PromptObjectsError, UsageError
from prompt_objects.message import is_unfinished
from prompt_objects.runtime.active_turns import ActiveTurn
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.events import BudgetUpdated, Event, MessageSaved, TurnStarted
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.lease import ProcessInfo, lease_holder
from prompt_objects.sessions.workspace import workspace_of
from prompt_objects.utils.text import NAME_PATTERN, did_you_mean, quoted

if TYPE_CHECKING:
    from prompt_objects.turns.reply import Reply


_MENTION = re.compile(rf"@({NAME_PATTERN})\s+(\S.*)", re.DOTALL)
_CHECKED_MESSAGES = 40
"""The last messages, which show whether a session was interrupted before an answer."""


class Chat:
    """The user's current prompt object and session, and the actions of a conversation.

    `pending` is a message that was not sent yet, for example because another process uses the session; `holder` is
    that process, as far as known. With `shows_events`, every event is shown as a line.
    """

    def __init__(self, environment: Environment, po: PromptObject, session: Session) -> None:
        self.environment = environment
        self.po = po
        self.session = session
        self.pending = ""
        self.holder: ProcessInfo | None = None
        self.shows_events = False
        self._last_run = ""
        self._last_run_session_id = ""
        self._spent: BudgetUpdated | None = None
        self._sending_session_id = ""

    @property
    def is_pending_here(self) -> bool:
        """Whether a message waits to be sent in this session, and not in another one."""
        return bool(self.pending) and self._sending_session_id in {"", self.session.id}

    @property
    def spent(self) -> BudgetUpdated | None:
        """The spending of the last message in this session so far, including delegates."""
        return self._spent if self._last_run_session_id == self.session.id else None

    @property
    def workspace(self) -> Path:
        """The folder for files of this conversation. Raises `StoreError`."""
        return workspace_of(self.session.info, self.environment.storage.store, self.environment.storage.workspace)

    def switch_session(self, session: Session) -> None:
        """Switch to a session of the prompt object."""
        last_used = self.environment.storage.last_used
        last_used.use_object(self.po.name)
        last_used.use_session(self.po.name, session.id)
        if session.id != self.session.id:
            self.pending, self.holder = self.pending if self._sending_session_id else "", None
        self.session = session

    def switch_object(self, name: str) -> None:
        """Switch to an object: to the session of its latest running turn, else its last one. Raises `NotFound`."""
        po = self.environment[name]
        turns = [turn for turn in self.environment.active_turns.of(name) if not turn.session.is_draft]
        session = turns[-1].session if turns else po.session_manager.current()
        self.po = po
        self.switch_session(session)

    def branch(self) -> None:
        """Switch to a copy of the session, without a message that another process is answering in it."""
        held = self.holder_of(self.session) is not None
        manager = self.po.session_manager
        self.switch_session(manager.branch_before_pending(self.session) if held else manager.branch(self.session.id))

    def find(self, key: str) -> Session:
        """Return a session of this prompt object, else of any. Raises `NotFound` or `Ambiguous`."""
        try:
            found = self.po.session_manager.get(key)
        except Ambiguous:
            raise
        except NotFound:
            found = self.environment.session_manager.get(key)
        return self.session if found.id == self.session.id else found

    # Messages

    async def send(self, text: str, *, wait: float | None = 0) -> "Reply":
        """Send a message and return the reply. Raises the errors of `PromptObject.receive`.

        The message is `pending` until `handle` gets the event that it is saved. `@name message` goes to another
        prompt object, into the session last used there.
        """
        self.pending = text
        context = self._new_context()
        name, text = self.parse_mention(text)
        po = self.environment[name] if name else self.po
        session = self.session if po is self.po else None
        self._sending_session_id = self.session.id
        try:
            return await po.receive(text, context, session, wait=wait)
        except Busy as busy:
            self.holder = busy.holder if session else self.holder
            busy.hint = "/wait sends your message later, /branch sends it in a copy, /watch shows the reply."
            raise
        finally:
            self._sending_session_id = ""

    async def retry(self) -> "Reply":
        """Answer the last message again. Raises the errors of `PromptObject.retry`."""
        return await self.po.retry(self._new_context(), self.session)

    async def resume(self) -> "Reply":
        """Resume the interrupted turn. Raises the errors of `PromptObject.resume`."""
        return await self.po.resume(self._new_context(), self.session)

    def _new_context(self) -> Context:
        """Return the context of a new turn, whose use of the limits is shown from now on."""
        context = self.environment.context()
        self._last_run, self._last_run_session_id, self._spent = context.root, "", None
        return context

    def parse_mention(self, text: str) -> tuple[str, str]:
        """Split `@name message`; the name is empty if there is none. Raises `NotFound` if it is misspelled."""
        mention = _MENTION.fullmatch(text)
        if not mention:
            return "", text
        name, message = mention.groups()
        names = self.environment.catalog.names()
        if name in names:
            return name, message
        if hint := did_you_mean(name, names):
            raise NotFound(f"There is no prompt object {quoted(name)}.", hint=hint)
        return "", text

    # Running turns

    def turns(self, key: str | None = None) -> list[ActiveTurn]:
        """Return the running turns of an object or a session, by default the current one. Raises `NotFound`."""
        active_turns = self.environment.active_turns
        if key in self.environment.catalog:
            return active_turns.of(str(key))
        turn = active_turns.in_session(self.find(key).id if key else self.session.id)
        return [turn] if turn else []

    def steer(self, text: str) -> ActiveTurn:
        """Send a message to the only running turn here, or of the object in `@name message`. Raises `UsageError`."""
        name, text = self.parse_mention(text)
        turns = self.environment.active_turns.of(name) if name else self.turns()
        target = name or self.session.name
        if len(turns) > 1:
            raise UsageError(f"{target} has {len(turns)} turns running; switch to the session of one first.")
        if not turns or not turns[0].steer(text):
            raise UsageError(f"{target} has no turn running; send the message after this reply.")
        return turns[0]

    def is_interrupted(self) -> bool:
        """Whether the session ends before an answer, and no process is known to work on it."""
        try:
            if self.turns() or self.holder_of(self.session):
                return False
            messages = self.session.tail(_CHECKED_MESSAGES)
        except PromptObjectsError:
            return False  # the next message shows the error
        return is_unfinished(messages, first=self.session.message_count - len(messages))

    def handle(self, event: Event) -> None:
        """Update `pending`, `holder` and `spent` from an event."""
        if isinstance(event, BudgetUpdated) and event.root == self._last_run:
            self._spent = event
        if isinstance(event, TurnStarted) and event.run == self._last_run:
            self._last_run_session_id = event.session_id
        if isinstance(event, TurnStarted) and event.session_id == self.session.id:
            self.holder = None
        elif isinstance(event, MessageSaved) and event.run == self._last_run and event.message.get("role") == "user":
            self.pending = ""

    # Other processes

    def holder_of(self, session: Session) -> ProcessInfo | None:
        """Return the other process that uses a session now, if any. Raises `StoreError`."""
        return other_process(lease_holder(self.environment.storage.store, session.id))

    # The environment

    def run_maintenance(self) -> list[str]:
        """Back up and prune if that is due, and return error messages; may take long."""
        try:
            return self.environment.storage.run_maintenance()
        except PromptObjectsError as error:
            return [f"Backing up or pruning failed: {error}"]
        except Exception as error:  # noqa: BLE001 - a defect in the maintenance must not end a conversation
            return [f"Backing up or pruning failed: {error!r}"]

    def describe_model(self) -> str:
        """Return the name and the server of the model that answers here, or why there is none; may connect to it."""
        try:
            return str(self.environment.models.connection_for(self.po.definition))
        except PromptObjectsError as error:
            return str(error)

    def warm_up(self) -> list[str]:
        """Load what the first message needs, and return facts for the user; takes about half a second."""
        import prompt_objects.turns.turn  # noqa: F401 - so that the first message need not

        facts = self._describe_keys()
        try:
            if not self.po.definition_error:  # otherwise the error is among the others
                facts = [self.describe_model(), *facts]
            return [*facts, *self.environment.errors_and_notices()]
        except PromptObjectsError as error:  # such as a definition that was deleted in the meantime
            return [*facts, str(error)]

    def _describe_keys(self) -> list[str]:
        """Name the providers whose keys were found, at the first start in an environment, if there are several."""
        keys = self.environment.models.keys_found()
        if len(keys) < 2 or any(each.message_count for each in self.environment.session_manager.list()):  # noqa: PLR2004
            return []
        return [f"Keys were found for {', '.join(keys)}. /model lists the models."]


def other_process(holder: ProcessInfo | None) -> ProcessInfo | None:
    """Return the holder of a session if it is not this process."""
    return None if holder is None or holder.is_current else holder
