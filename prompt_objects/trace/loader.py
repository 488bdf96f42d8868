"""Loads the trace of a session, with the traces of the child sessions that its calls started."""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from prompt_objects.errors import Damaged, NotFound
from prompt_objects.sessions.info import SessionInfo
from prompt_objects.sessions.stores.base import Store
from prompt_objects.sessions.tree import stored_descendants
from prompt_objects.sessions.workspace import trace_file
from prompt_objects.trace.builder import turns_of
from prompt_objects.trace.log import read_records
from prompt_objects.trace.model import CallSpan, Trace, TurnSpan

__all__ = [
    "load_trace",
]

_TurnAndCall: TypeAlias = tuple[TurnSpan, CallSpan]
DEEPEST = 50
"""The most levels of delegation that are loaded; `limits.depth` allows fewer."""


def load_trace(store: Store, data_dir: Path, session_id: str) -> Trace:
    """Load the trace of a session. Raises `NotFound`, `Damaged` and `StoreError`.

    Child sessions that are deleted or cannot be read are left out.
    """
    info = store.load(session_id).info
    turns = _turns(store, data_dir, info)
    calls = {session_id: _Calls(turns)}
    depths = {session_id: 0}
    for child in stored_descendants(session_id, store):
        origin = child.parent
        if origin and depths.get(origin.session, DEEPEST) < DEEPEST:
            with suppress(NotFound, Damaged):
                child_turns = _turns(store, data_dir, child)
                calls[origin.session].nest(child_turns, origin.call)
                calls[child.id], depths[child.id] = _Calls(child_turns), depths[origin.session] + 1
    return Trace(info, turns)


def _turns(store: Store, data_dir: Path, info: SessionInfo) -> list[TurnSpan]:
    records = list(read_records(trace_file(data_dir, info.id)))
    return turns_of(info, records, store.read(info.id, 0, info.message_count))


class _Calls:
    """The tool calls of one session, each with its turn."""

    def __init__(self, turns: Iterable[TurnSpan]) -> None:
        self._by_id: defaultdict[str | None, list[_TurnAndCall]] = defaultdict(list)
        self._by_name: defaultdict[str, list[_TurnAndCall]] = defaultdict(list)
        for turn in turns:
            for call in turn.calls:
                self._by_id[call.id].append((turn, call))
                self._by_name[call.name].append((turn, call))

    def nest(self, turns: Iterable[TurnSpan], origin: str) -> None:
        """Attach turns of a child session to the calls that started them; `origin` is the child's first call."""
        for number, turn in enumerate(turns):
            is_delegated = turn.run is None or turn.parent is not None
            if is_delegated and (match := self._find(turn, None if number else origin)):
                asker, call = match
                turn.asker = turn.asker or asker.session.po_name
                call.turns.append(turn)

    def _find(self, turn: TurnSpan, origin: str | None) -> "_TurnAndCall | None":
        """Find the call that started a turn: by the recorded ids, otherwise by `origin`, otherwise by time."""
        recorded = [each for each in self._by_id[turn.call_id] if turn.parent and each[0].run == turn.parent]
        candidates = recorded or self._by_id[origin]
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
