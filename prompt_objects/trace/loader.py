"""Loads the trace of a session: builds its turns from trace records and messages, and nests child sessions."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Literal, TypeAlias, cast

from prompt_objects.errors import Damaged, NotFound
from prompt_objects.llm.base import Usage
from prompt_objects.message import RECORDS, Message, calls_of, has_failed, text_of
from prompt_objects.sessions.info import SessionInfo, totals_of
from prompt_objects.sessions.session import trace_file
from prompt_objects.sessions.stores.base import Store
from prompt_objects.sessions.tree import stored_descendants
from prompt_objects.trace.log import MessageRef, TraceRecord, read_records, saved_at
from prompt_objects.trace.model import CallSpan, MessageEvent, NoticeEvent, Totals, Trace, TurnSpan

_TurnAndCall: TypeAlias = tuple[TurnSpan, CallSpan]
MAX_DEPTH = 50
"""Maximum levels of delegation that are loaded; `limits.depth` allows fewer."""


def load_trace(store: Store, data_dir: Path, session_id: str) -> Trace:
    """Load a session's trace, without unreadable child sessions. Raises `NotFound`, `Damaged` and `StoreError`."""
    info = store.load(session_id).info
    turns = _load_turns(store, data_dir, info)
    calls = {session_id: _Calls(turns)}
    depths = {session_id: 0}
    for child in stored_descendants(session_id, store):
        parent = child.parent
        if parent and depths.get(parent.session, MAX_DEPTH) < MAX_DEPTH:
            with suppress(NotFound, Damaged):
                child_turns = _load_turns(store, data_dir, child)
                calls[parent.session].nest(child_turns, parent.call)
                calls[child.id], depths[child.id] = _Calls(child_turns), depths[parent.session] + 1
    return Trace(info, turns)


class _Calls:
    def __init__(self, turns: Iterable[TurnSpan]) -> None:
        self._by_id: defaultdict[str | None, list[_TurnAndCall]] = defaultdict(list)
        self._by_name: defaultdict[str, list[_TurnAndCall]] = defaultdict(list)
        for turn in turns:
            for call in turn.calls:
                self._by_id[call.id].append((turn, call))
                self._by_name[call.name].append((turn, call))

    def nest(self, turns: Iterable[TurnSpan], first_call_id: str) -> None:
        """Attach turns of a child session to the calls that started them.

        `first_call_id` is the id of the call that created the session.
        """
        for number, turn in enumerate(turns):
            is_delegated = turn.run is None or turn.parent is not None
            if is_delegated and (match := self._find(turn, None if number else first_call_id)):
                caller, call = match
                turn.caller = turn.caller or caller.session.po_name
                call.turns.append(turn)

    def _find(self, turn: TurnSpan, first_call_id: str | None) -> "_TurnAndCall | None":
        """Find the call that started a turn: by the recorded ids, otherwise by `first_call_id`, otherwise by time."""
        recorded = [each for each in self._by_id[turn.call_id] if turn.parent and each[0].run == turn.parent]
        candidates = recorded or self._by_id[first_call_id]
        if not candidates and turn.run is None:
            candidates = [each for each in self._by_name[turn.session.po_name] if _is_during(turn, each[1])]
        earlier = [each for each in candidates if _is_earlier(each[1], turn)]  # some servers reuse call ids
        return next(reversed(earlier or candidates), None)


def _is_earlier(call: CallSpan, turn: TurnSpan) -> bool:
    return turn.started_at is None or call.at is None or call.at <= turn.started_at


def _is_during(turn: TurnSpan, call: CallSpan) -> bool:
    if turn.started_at is None or call.at is None:
        return False
    return call.at <= turn.started_at and (call.ended_at is None or turn.started_at <= call.ended_at)


_EARLIEST = datetime.min.replace(tzinfo=UTC)
_OUTCOMES = {None: "answered", "length": "answered", "content_filter": "answered", "cancelled": "cancelled"}


def _load_turns(store: Store, data_dir: Path, info: SessionInfo) -> list[TurnSpan]:
    """Return the turns in order of their start; turns that were not recorded are built from messages alone."""
    records = list(read_records(trace_file(data_dir, info.id)))
    history = store.read(info.id, 0, info.message_count)
    references = [MessageRef.of(message) for message in history]
    messages = {reference.digest: message for reference, message in zip(references, history, strict=True)}
    builder = _Builder(info, messages)
    runs: defaultdict[str, list[TraceRecord]] = defaultdict(list)
    for record in records:
        runs[record.run].append(record)
    steps = [(run[0].at, partial(builder.add_recorded, run)) for run in runs.values()]
    for span in _unrecorded_spans(records, references, history):
        timed = [(saved_at(history[index]), references[index]) for index in span]
        steps.append((timed[0][0] or _EARLIEST, partial(builder.add_unrecorded, timed)))
    for _, add in sorted(steps, key=itemgetter(0)):
        add()
    return builder.turns


def _unrecorded_spans(
    records: Iterable[TraceRecord], references: Sequence[MessageRef], history: Sequence[Message]
) -> Iterator[list[int]]:
    """Yield, for each turn, the numbers of the messages without a record.

    If messages are equal, the records belong to the last ones.
    """
    recorded = Counter(record.message.digest for record in records if record.message)
    unrecorded = []
    for index in reversed(range(len(history))):
        if recorded[references[index].digest]:
            recorded[references[index].digest] -= 1
        else:
            unrecorded.append(index)
    span: list[int] = []
    for index in reversed(unrecorded):
        starts_turn = history[index].get("role") == "user" or "replaces" in history[index]
        if span and (starts_turn or index != span[-1] + 1):
            yield span
            span = []
        span.append(index)
    if span:
        yield span


class _Builder:
    """Builds turns from records and messages; `messages` are those of the session, by their digests."""

    def __init__(self, info: SessionInfo, messages: Mapping[str, Message]) -> None:
        self.turns: list[TurnSpan] = []
        self._info = info
        self._messages = messages
        self._calls: dict[str, CallSpan] = {}  # if several calls have the same id, the last

    def add_recorded(self, run: Sequence[TraceRecord]) -> None:
        turn = self._start(run[0])
        for record in run:
            self._add_record(turn, record)

    def _add_record(self, turn: TurnSpan, record: TraceRecord) -> None:
        match record.event:  # other kinds of events are not shown
            case "MessageSaved" if record.message:
                self._add_message(turn, record.at, record.message)
            case "MessagesArrived":
                turn.steps.append(
                    NoticeEvent(record.at, f"New messages from another process: {len(record.messages)}.")
                )
            case "CallStarted":
                self._call(turn, record).started_at = record.at
            case "CallEnded":
                call = self._call(turn, record)
                call.ended_at, call.seconds, call.size = record.at, record.seconds, record.size
                call.outcome = "failed" if record.failed else "done"
            case "Notice":
                turn.steps.append(NoticeEvent(record.at, record.text))
            case "TurnEnded":
                turn.ended_at, turn.error = record.at, record.error
                turn.outcome = _outcome(record.outcome)

    def add_unrecorded(self, messages: Sequence[tuple[datetime | None, MessageRef]]) -> None:
        """Add a turn that is known only from its messages."""
        (started_at, _), *_ = messages
        ended_at, last = messages[-1]
        turn = TurnSpan(session=self._info, started_at=started_at, ended_at=ended_at)
        if last.role == "assistant" and not last.calls:
            turn.outcome = _outcome(_OUTCOMES.get(last.interrupted, "failed"))
        for at, reference in messages:
            self._add_message(turn, at, reference)
        if turn.steps:  # otherwise all messages are results of calls in an earlier turn
            self.turns.append(turn)

    def _start(self, record: TraceRecord) -> TurnSpan:
        turn = TurnSpan(session=self._info, run=record.run, started_at=record.at)
        turn.parent = record.parent
        turn.call_id = record.call_id if record.parent else None
        turn.caller = record.path[-2] if len(record.path) > 1 else None
        self.turns.append(turn)
        return turn

    def _call(self, turn: TurnSpan, record: TraceRecord) -> CallSpan:
        """Return the call of a record; add it to the turn if the message that requested it was not recorded."""
        call_id = str(record.call_id)
        if call_id not in self._calls:
            self._calls[call_id] = CallSpan(id=call_id, name=record.name, at=record.at)
            turn.steps.append(self._calls[call_id])
        return self._calls[call_id]

    def _add_message(self, turn: TurnSpan, at: datetime | None, reference: MessageRef) -> None:
        message = self._messages.get(reference.digest)
        if reference.tool_call_id in self._calls:
            self._add_result(self._calls[reference.tool_call_id], at, reference.size, message)
            return
        known = message or {}
        read_at = saved_at({"at": known.get("read_at")})
        turn.steps.append(
            MessageEvent(
                at=(read_at and saved_at(known)) or at,  # when it was typed, not when it was saved
                role=reference.role,
                text=None if message is None else text_of(message),
                size=reference.size,
                model=reference.model,
                interrupted=reference.interrupted,
                totals=_totals(reference) if reference.role == "assistant" else None,
                call=known.get("call") if reference.role in RECORDS else None,
                read_at=read_at,
            )
        )
        arguments_by_id = {call["id"]: call["function"].get("arguments") for call in calls_of(known)}
        for each in reference.calls:
            arguments = arguments_by_id.get(each.id)
            text = arguments if isinstance(arguments, str) else None
            self._calls[each.id] = CallSpan(id=each.id, name=each.name, at=at, arguments=text)
            turn.steps.append(self._calls[each.id])

    def _add_result(self, call: CallSpan, at: datetime | None, size: int, message: Message | None) -> None:
        call.size, call.ended_at = size, call.ended_at or at
        if message is None:
            return
        call.result = text_of(message)
        call.grant = str(message["grant"]) if "grant" in message else None
        failed = has_failed(message)
        if call.outcome is None and failed is not None:
            call.outcome = "failed" if failed else "done"


def _totals(reference: MessageRef) -> Totals:
    totals = totals_of([{"usage": reference.usage}])
    return Totals(
        1, Usage(totals["prompt_tokens"], totals["completion_tokens"], totals["cached_tokens"], totals["cost"])
    )


def _outcome(word: str | None) -> Literal["answered", "cancelled", "failed"] | None:
    is_known = word in {"answered", "cancelled", "failed"}
    return cast("Literal['answered', 'cancelled', 'failed']", word) if is_known else None
