"""The trace of a session: turns with messages and tool calls, and below each call the turns that it started."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import Struct, field

from prompt_objects.llm.base import Usage
from prompt_objects.sessions.info import SessionInfo


class Totals(Struct, frozen=True):
    """The number of model responses, and their tokens and cost."""

    responses: int = 0
    usage: Usage = Usage()

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(self.responses + other.responses, self.usage + other.usage)


class MessageEvent(Struct, frozen=True, kw_only=True):
    """A message of the user, a prompt object or a model. `text` is None if it is no longer in the session.

    `totals` are set for responses of models; `size` is in bytes. `call` is the id of the call that an approval or a
    question belongs to, and `read_at` the time when a turn read a message that was sent during it.
    """

    at: datetime | None
    role: str
    text: str | None
    size: int
    model: str | None = None
    interrupted: str | None = None
    totals: Totals | None = None
    call: str | None = None
    read_at: datetime | None = None


class CallSpan(Struct, kw_only=True, eq=False):
    """A tool call, from the response that requested it (`at`) to its result. Unknown values are None.

    `seconds` is its running time. `outcome` is `done` unless the call is known to have failed. `grant` says why it
    ran without approval, if such calls usually need it.
    """

    id: str
    name: str
    at: datetime | None
    arguments: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    seconds: float | None = None
    outcome: Literal["done", "failed"] | None = None
    result: str | None = None
    size: int | None = None
    grant: str | None = None
    turns: list["TurnSpan"] = field(default_factory=list)


class NoticeEvent(Struct, frozen=True):
    """A notice to the user during the turn."""

    at: datetime | None
    text: str


TracedStep: TypeAlias = MessageEvent | CallSpan | NoticeEvent


class TurnSpan(Struct, kw_only=True, eq=False):
    """A turn, from a message to its reply. `run` is None if it was not recorded and only its messages are known.

    For a delegation, `parent` is the calling run, `call_id` the tool call and `caller` the calling prompt object; for
    a turn of the user they are None. `outcome` is None if the turn has not ended.
    """

    session: SessionInfo
    run: str | None = None
    parent: str | None = None
    call_id: str | None = None
    caller: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: Literal["answered", "cancelled", "failed"] | None = None
    error: str = ""
    steps: list[TracedStep] = field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        if self.started_at is None or self.ended_at is None:
            return None
        return max(0.0, (self.ended_at - self.started_at).total_seconds())

    @property
    def calls(self) -> Iterator[CallSpan]:
        return (step for step in self.steps if isinstance(step, CallSpan))

    @property
    def models(self) -> list[str]:
        messages = (step for step in self.steps if isinstance(step, MessageEvent))
        return list(dict.fromkeys(message.model for message in messages if message.model))

    @property
    def own(self) -> Totals:
        return _sum(step.totals for step in self.steps if isinstance(step, MessageEvent) and step.totals)

    @property
    def inclusive(self) -> Totals:
        return self.own + _sum(turn.inclusive for call in self.calls for turn in call.turns)


class Trace(Struct, frozen=True):
    """The turns of a session."""

    session: SessionInfo
    turns: list[TurnSpan]

    @property
    def own(self) -> Totals:
        return _sum(turn.own for turn in self.turns)

    @property
    def inclusive(self) -> Totals:
        return _sum(turn.inclusive for turn in self.turns)


def _sum(parts: Iterable[Totals]) -> Totals:
    return sum(parts, Totals())
