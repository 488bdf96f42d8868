"""The turns of one session, put together from what was kept of it and from its messages."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from operator import itemgetter
from typing import Any, Literal, cast

from prompt_objects.llm.base import Usage
from prompt_objects.message import Message, calls_of, has_failed, text_of
from prompt_objects.sessions.info import SessionInfo, totals_of
from prompt_objects.trace.log import MessageRef, TraceRecord, moment_of
from prompt_objects.trace.model import CallSpan, MessageEvent, NoticeEvent, Totals, TurnSpan
from prompt_objects.utils.text import pluralize

__all__ = [
    "turns_of",
]

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_OUTCOMES = {None: "answered", "length": "answered", "content_filter": "answered", "cancelled": "cancelled"}


def turns_of(info: SessionInfo, entries: Sequence[TraceRecord], history: Sequence[Message]) -> list[TurnSpan]:
    """Return the turns in the order in which they began; those that were not kept are made of messages alone."""
    references = [MessageRef.to(message) for message in history]
    texts = {reference.digest: message for reference, message in zip(references, history, strict=True)}
    builder = _Builder(info, texts)
    runs: defaultdict[str, list[TraceRecord]] = defaultdict(list)
    for entry in entries:
        runs[entry.run].append(entry)
    moments = list(map(moment_of, history))
    guesses = [
        (
            moments[span[0]] or _LONG_AGO,
            partial(builder.guess, [(moments[index], references[index]) for index in span]),
        )
        for span in _unkept(entries, references, history)
    ]
    followed = [(run[0].at, partial(builder.follow, run)) for run in runs.values()]
    for _, build in sorted([*guesses, *followed], key=itemgetter(0)):
        build()
    return builder.turns


def _unkept(
    entries: Iterable[TraceRecord], references: Sequence[MessageRef], history: Sequence[Message]
) -> Iterator[list[int]]:
    """Yield the numbers of messages that nothing kept tells of, turn by turn.

    Of messages that say the same, those that came last are taken for the kept ones.
    """
    kept = Counter(entry.message.digest for entry in entries if entry.message)
    unkept = []
    for index in reversed(range(len(history))):
        if kept[references[index].digest]:
            kept[references[index].digest] -= 1
        else:
            unkept.append(index)
    span: list[int] = []
    for index in reversed(unkept):
        begins = history[index].get("role") == "user" or "replaces" in history[index]
        if span and (begins or index != span[-1] + 1):
            yield span
            span = []
        span.append(index)
    if span:
        yield span


class _Builder:
    """Makes turns of entries and of messages; `texts` has the messages of the session by their digests."""

    def __init__(self, info: SessionInfo, texts: Mapping[str, Message]) -> None:
        self.turns: list[TurnSpan] = []
        self._info = info
        self._texts = texts
        self._calls: dict[str, CallSpan] = {}  # of several with one id, the last

    def follow(self, run: Sequence[TraceRecord]) -> None:
        """Make a turn of what was kept of it."""
        turn = self._begin(run[0])
        for entry in run:
            self._take(turn, entry)

    def _take(self, turn: TurnSpan, entry: TraceRecord) -> None:
        match entry.event:  # of kinds that tell nothing of a turn's course there may be more
            case "MessageSaved" if entry.message:
                self._add(turn, entry.at, entry.message)
            case "MessagesArrived":
                told = f"From elsewhere: {pluralize(len(entry.messages), 'message')}."
                turn.steps.append(NoticeEvent(entry.at, told))
            case "CallStarted":
                self._call(turn, entry).started_at = entry.at
            case "CallEnded":
                call = self._call(turn, entry)
                call.ended_at, call.seconds, call.size = entry.at, entry.seconds, entry.size
                call.outcome = "failed" if entry.failed else "done"
            case "Notice":
                turn.steps.append(NoticeEvent(entry.at, entry.text))
            case "TurnEnded":
                turn.ended_at, turn.error = entry.at, entry.error
                turn.outcome = _outcome(entry.outcome)

    def guess(self, messages: Sequence[tuple[datetime | None, MessageRef]]) -> None:
        """Make a turn of messages, of which nothing else is known."""
        (started, _), *_ = messages
        ended, last = messages[-1]
        turn = TurnSpan(session=self._info, started_at=started, ended_at=ended)
        if last.role == "assistant" and not last.calls:
            turn.outcome = _outcome(_OUTCOMES.get(last.interrupted, "failed"))
        for at, reference in messages:
            self._add(turn, at, reference)
        if turn.steps:  # else these are results of calls that stand in the turn before
            self.turns.append(turn)

    def _begin(self, entry: TraceRecord) -> TurnSpan:
        turn = TurnSpan(session=self._info, run=entry.run, started_at=entry.at)
        turn.parent = entry.parent
        turn.call_id = entry.call_id if entry.parent else None
        turn.asker = entry.path[-2] if len(entry.path) > 1 else None
        self.turns.append(turn)
        return turn

    def _call(self, turn: TurnSpan, entry: TraceRecord) -> CallSpan:
        """Return the call that an entry tells of, also where the message with it was not kept."""
        call_id = str(entry.call_id)
        if call_id not in self._calls:
            self._calls[call_id] = CallSpan(id=call_id, name=entry.name, at=entry.at)
            turn.steps.append(self._calls[call_id])
        return self._calls[call_id]

    def _add(self, turn: TurnSpan, at: datetime | None, reference: MessageRef) -> None:
        message = self._texts.get(reference.digest)
        if reference.tool_call_id in self._calls:
            self._answer(self._calls[reference.tool_call_id], at, reference.size, message)
            return
        turn.steps.append(
            MessageEvent(
                at=at,
                role=reference.role,
                text=None if message is None else text_of(message),
                size=reference.size,
                model=reference.model,
                interrupted=reference.interrupted,
                took=_took(reference) if reference.role == "assistant" else None,
            )
        )
        written = {call["id"]: call["function"].get("arguments") for call in calls_of(message or {})}
        for each in reference.calls:
            arguments = written.get(each.id)
            call = CallSpan(id=each.id, name=each.name, at=at, arguments=_as_text(arguments))
            self._calls[each.id] = call
            turn.steps.append(call)

    def _answer(self, call: CallSpan, at: datetime | None, size: int, message: Message | None) -> None:
        call.result, call.size = None if message is None else text_of(message), size
        call.ended_at = call.ended_at or at
        failed = None if message is None else has_failed(message)
        if call.outcome is None and failed is not None:
            call.outcome = "failed" if failed else "done"


def _as_text(arguments: Any) -> str | None:
    return arguments if isinstance(arguments, str) else None


def _took(reference: MessageRef) -> Totals:
    sums = totals_of([{"usage": reference.usage}])
    return Totals(1, Usage(sums["prompt_tokens"], sums["completion_tokens"], sums["cached_tokens"], sums["cost"]))


def _outcome(word: str | None) -> Literal["answered", "cancelled", "failed"] | None:
    known = word in {"answered", "cancelled", "failed"}
    return cast("Literal['answered', 'cancelled', 'failed']", word) if known else None
