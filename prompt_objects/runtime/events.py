"""News of what happens while prompt objects work, for screens and traces; never the truth (the store is).

What is promised to a subscriber:
- it hears every event published after it subscribed, in the order of publishing, which in a run is the order in which
  things happened: a message once it is saved, a call's start before its end, the turn's end last;
- text deltas of one run that it has not fetched yet are joined into one, so a slow screen holds up nobody and
  loses nothing; what else waits for it is kept until it fetches it or leaves;
- `publish` never waits and never fails because of a subscriber: what one does with an event happens afterwards, in
  its own task or thread, and what goes wrong there is its own affair.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Literal, Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from prompt_objects.config.limits import Limits
from prompt_objects.message import Message
from prompt_objects.runtime.budget import Spending
from prompt_objects.utils.time import now

__all__ = [
    "BudgetUpdated",
    "Event",
    "EventBus",
    "ExternalMessages",
    "MessageSaved",
    "Notice",
    "Subscriber",
    "Subscription",
    "TextDelta",
    "ToolCallEnded",
    "ToolCallStarted",
    "TurnEnded",
    "TurnStarted",
]


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened in one run (one turn of one prompt object).

    `root` is the run that the person, or a script, started, `parent` the one that asked for this one, None at the
    root; `path` names the prompt objects from there to here.
    """

    run: str
    root: str
    parent: str | None = None
    path: tuple[str, ...]
    session_id: str
    at: datetime = field(default_factory=now)

    @property
    def po_name(self) -> str:
        """The prompt object whose turn it is."""
        return self.path[-1]

    @property
    def depth(self) -> int:
        """0 for the prompt object that the person talks to, 1 for one that it asked, and so on."""
        return len(self.path) - 1


class TurnStarted(Event, frozen=True, kw_only=True):
    """A turn began; `call_id` is the call of the asking prompt object, None where the person asked."""

    call_id: str | None = None


class TextDelta(Event, frozen=True, kw_only=True):
    """The model said some more."""

    text: str


class MessageSaved(Event, frozen=True, kw_only=True):
    """A message, of whatever role, is in the store, durably."""

    message: Message


class ExternalMessages(Event, frozen=True, kw_only=True):
    """Messages that others added to the session stand in it since it was last looked at here."""

    messages: list[Message]


class ToolCallStarted(Event, frozen=True, kw_only=True):
    """A capability is about to run; `arguments` is the text that the model wrote."""

    call_id: str
    name: str
    arguments: str


class ToolCallEnded(Event, frozen=True, kw_only=True):
    """A capability ended; `result` is what the model will read."""

    call_id: str
    name: str
    result: str
    failed: bool
    seconds: float


class Notice(Event, frozen=True, kw_only=True):
    """Something the person should know while it goes on: a limit was reached, a history was repaired."""

    text: str


class BudgetUpdated(Event, frozen=True, kw_only=True):
    """A request was answered; what the person's message has taken so far, delegations included, and what it may."""

    amount: Spending
    seconds: float
    limits: Limits


class TurnEnded(Event, frozen=True, kw_only=True):
    """The last event of a run; `error` is one sentence when it failed."""

    outcome: Literal["answered", "cancelled", "failed"]
    error: str = ""


class Subscriber(Protocol):
    """Whoever wants to hear of everything."""

    def put(self, event: Event) -> None:
        """Take an event, to be dealt with later: it neither waits nor raises."""


class Subscription:
    """The events that one subscriber has not fetched yet; iterate over it to fetch them."""

    def __init__(self, root: str | None) -> None:
        self._root = root
        self._waiting: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._closed = False

    def put(self, event: Event) -> None:
        """Take an event, joining it with the last one where both are text of the same run."""
        if self._root is not None and event.root != self._root:
            return
        last = self._waiting[-1] if self._waiting else None
        if isinstance(event, TextDelta) and isinstance(last, TextDelta) and last.run == event.run:
            self._waiting[-1] = replace(last, text=last.text + event.text)
        else:
            self._waiting.append(event)
        self._arrived.set()

    def drain(self) -> Iterator[Event]:
        """Yield what is waiting, without waiting for more."""
        while self._waiting:
            yield self._waiting.popleft()

    def close(self) -> None:
        """Let the iteration end, once what is waiting has been fetched."""
        self._closed = True
        self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            for event in self.drain():
                yield event
            if self._closed:
                return


class EventBus:
    """Hands events to whoever subscribed. One per environment, used from its event loop."""

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []

    def publish(self, event: Event) -> None:
        """Hand an event to every subscriber; one that fails hears no more."""
        for subscriber in tuple(self._subscribers):
            try:
                subscriber.put(event)
            except Exception:  # noqa: BLE001 - what hears the news is no reason for a turn to fail
                self._subscribers.remove(subscriber)

    def add_subscriber(self, subscriber: Subscriber) -> None:
        """Have a subscriber hear everything from now on, for as long as there is the bus."""
        self._subscribers.append(subscriber)

    @contextmanager
    def subscribe(self, root: str | None = None) -> Iterator[Subscription]:
        """Listen, for the length of a `with` block, to one root run and all below it, or to everything."""
        subscription = Subscription(root)
        self._subscribers.append(subscription)
        try:
            yield subscription
        finally:
            self._subscribers.remove(subscription)

    async def events_of(self, work: "asyncio.Task[object]", root: str) -> AsyncGenerator[Event, None]:
        """Yield the events of a root run while `work`, which carries it out, goes on; closing this cancels it."""
        with self.subscribe(root) as news:
            work.add_done_callback(lambda _: news.close())
            try:
                async for event in news:
                    yield event
            finally:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
