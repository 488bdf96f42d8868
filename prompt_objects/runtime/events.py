"""The events of running turns, for screens and traces, and the bus that delivers them. The truth is in the store.

Promises to a subscriber:
- It gets every event published after it subscribed, in order: a message once it is saved, the start of a tool call
  before its end, the end of the turn last.
- Text deltas of one run that it has not fetched yet are joined, so a slow screen delays nothing and loses nothing;
  all other events are kept until they are fetched.
- `publish` never waits and never fails because of a subscriber, which handles events in its own task or thread.
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


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened in one run (a turn of a prompt object).

    `root` is the run of the top-level turn, `parent` the run that delegated to this one (None for the top-level
    turn); `path` names the prompt objects from the top-level turn to this one.
    """

    run: str
    root: str
    parent: str | None = None
    path: tuple[str, ...]
    session_id: str
    at: datetime = field(default_factory=now)

    @property
    def po_name(self) -> str:
        """The name of the prompt object."""
        return self.path[-1]

    @property
    def depth(self) -> int:
        """0 for a top-level turn, 1 for a delegation of it, and so on."""
        return len(self.path) - 1


class TurnStarted(Event, frozen=True, kw_only=True):
    """A turn began; `call_id` is the tool call that it answers, None for a top-level turn."""

    call_id: str | None = None


class TextDelta(Event, frozen=True, kw_only=True):
    """The model produced more text."""

    text: str


class MessageSaved(Event, frozen=True, kw_only=True):
    """A message of any role was saved durably."""

    message: Message


class ExternalMessages(Event, frozen=True, kw_only=True):
    """Another process added messages to the session."""

    messages: list[Message]


class ToolCallStarted(Event, frozen=True, kw_only=True):
    """A tool call starts; `arguments` is the JSON text from the model."""

    call_id: str
    name: str
    arguments: str


class ToolCallEnded(Event, frozen=True, kw_only=True):
    """A tool call ended; `result` is the text for the model."""

    call_id: str
    name: str
    result: str
    failed: bool
    seconds: float


class Notice(Event, frozen=True, kw_only=True):
    """Information for the user, such as a limit that was reached."""

    text: str


class BudgetUpdated(Event, frozen=True, kw_only=True):
    """A request was answered; `amount` is what the user's message has spent so far, including delegates."""

    amount: Spending
    seconds: float
    limits: Limits


class TurnEnded(Event, frozen=True, kw_only=True):
    """The last event of a run; `error` is one sentence if it failed."""

    outcome: Literal["answered", "cancelled", "failed"]
    error: str = ""


class Subscriber(Protocol):
    """Receives all events."""

    def put(self, event: Event) -> None:
        """Accept an event for later processing; must not wait or raise."""


class Subscription:
    """A queue of the events that one subscriber has not fetched yet; iterate over it to fetch them."""

    def __init__(self, root: str | None) -> None:
        self._root = root
        self._queue: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._closed = False

    def put(self, event: Event) -> None:
        if self._root is not None and event.root != self._root:
            return
        last = self._queue[-1] if self._queue else None
        if isinstance(event, TextDelta) and isinstance(last, TextDelta) and last.run == event.run:
            self._queue[-1] = replace(last, text=last.text + event.text)
        else:
            self._queue.append(event)
        self._arrived.set()

    def drain(self) -> Iterator[Event]:
        """Yield the queued events without waiting for more."""
        while self._queue:
            yield self._queue.popleft()

    def close(self) -> None:
        """End the iteration once the queued events have been fetched."""
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
    """Delivers events to subscribers. One per environment, used from its event loop."""

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []

    def publish(self, event: Event) -> None:
        """Deliver an event to every subscriber; remove a subscriber that fails."""
        for subscriber in tuple(self._subscribers):
            try:
                subscriber.put(event)
            except Exception:  # noqa: BLE001 - a faulty subscriber must not make a turn fail
                self._subscribers.remove(subscriber)

    def add_subscriber(self, subscriber: Subscriber) -> None:
        """Deliver all events to a subscriber from now on."""
        self._subscribers.append(subscriber)

    @contextmanager
    def subscribe(self, root: str | None = None) -> Iterator[Subscription]:
        """Subscribe to one root run and its delegations, or to all, during a `with` block."""
        subscription = Subscription(root)
        self._subscribers.append(subscription)
        try:
            yield subscription
        finally:
            self._subscribers.remove(subscription)

    async def events_of(self, work: "asyncio.Task[object]", root: str) -> AsyncGenerator[Event, None]:
        """Yield the events of a root run while its task `work` runs; closing the generator cancels the task."""
        with self.subscribe(root) as subscription:
            work.add_done_callback(lambda _: subscription.close())
            try:
                async for event in subscription:
                    yield event
            finally:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
