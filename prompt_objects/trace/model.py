"""What a trace is: turns, in them messages and calls, and under the calls the turns that these began."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import Struct, field

from prompt_objects.llm.base import Usage
from prompt_objects.sessions.info import SessionInfo

__all__ = [
    "CallSpan",
    "MessageEvent",
    "NoticeEvent",
    "Totals",
    "Trace",
    "TracedStep",
    "TurnSpan",
]


class Totals(Struct, frozen=True):
    """What something took: answers of models, and the tokens and the cost of these."""

    answers: int = 0
    usage: Usage = Usage()

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(self.answers + other.answers, self.usage + other.usage)


class MessageEvent(Struct, frozen=True, kw_only=True):
    """A message of a person, a prompt object or a model; `text` is None where it is not in the session any more.

    `took` is what an answer took, None for all else; `size` is in bytes.
    """

    at: datetime | None
    role: str
    text: str | None
    size: int
    model: str | None = None
    interrupted: str | None = None
    took: Totals | None = None


class CallSpan(Struct, kw_only=True, eq=False):
    """A call, from when the model wanted it (`at`) to when its result was there; None is what is not known.

    `seconds` is how long it ran; a result that is not known to have failed is `done`.
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
    turns: list["TurnSpan"] = field(default_factory=list)


class NoticeEvent(Struct, frozen=True):
    """What the person was told while it went on."""

    at: datetime | None
    text: str


TracedStep: TypeAlias = MessageEvent | CallSpan | NoticeEvent


class TurnSpan(Struct, kw_only=True, eq=False):
    """A turn, from a message to its answer; `run` is None where it was not kept, and messages are all that is known.

    `parent` is the run that asked for it by the call `call_id`, `asker` its prompt object; None where a person asked.
    `outcome` is None where it did not come to an end, or not yet.
    """

    session: SessionInfo
    run: str | None = None
    parent: str | None = None
    call_id: str | None = None
    asker: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: Literal["answered", "cancelled", "failed"] | None = None
    error: str = ""
    steps: list[TracedStep] = field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        """How long it took; None where that is not known."""
        if self.started_at is None or self.ended_at is None:
            return None
        return max(0.0, (self.ended_at - self.started_at).total_seconds())

    @property
    def calls(self) -> Iterator[CallSpan]:
        """The calls among the steps."""
        return (step for step in self.steps if isinstance(step, CallSpan))

    @property
    def models(self) -> list[str]:
        """The models that answered, each once."""
        answers = (step for step in self.steps if isinstance(step, MessageEvent))
        return list(dict.fromkeys(answer.model for answer in answers if answer.model))

    @property
    def own(self) -> Totals:
        """What it took itself."""
        return _sum(step.took for step in self.steps if isinstance(step, MessageEvent) and step.took)

    @property
    def inclusive(self) -> Totals:
        """What it took with all turns below it."""
        return self.own + _sum(turn.inclusive for call in self.calls for turn in call.turns)


class Trace(Struct, frozen=True):
    """All that happened in a session, as far as it is known."""

    session: SessionInfo
    turns: list[TurnSpan]

    @property
    def own(self) -> Totals:
        """What the session's own turns took."""
        return _sum(turn.own for turn in self.turns)

    @property
    def inclusive(self) -> Totals:
        """What they took with all turns below them."""
        return _sum(turn.inclusive for turn in self.turns)


def _sum(parts: Iterable[Totals]) -> Totals:
    return sum(parts, Totals())
