"""The trace of a session: its turns, and, under their calls, those of the sessions that these began."""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from prompt_objects.errors import Damaged, NotFound
from prompt_objects.sessions.info import SessionInfo
from prompt_objects.sessions.stores.base import Store
from prompt_objects.sessions.tree import descendants
from prompt_objects.sessions.workspace import trace_file
from prompt_objects.trace.builder import turns_of
from prompt_objects.trace.log import read_entries
from prompt_objects.trace.model import CallSpan, Trace, TurnSpan

__all__ = [
    "load_trace",
]

_Place: TypeAlias = tuple[TurnSpan, CallSpan]
DEEPEST = 50
"""How many delegations deep is looked: further than any limit lets one go, and no further than can be shown."""


def load_trace(store: Store, data_dir: Path, session_id: str) -> Trace:
    """Put together what happened in a session; raises `NotFound`, `Damaged` and `StoreError`.

    A session that its calls began, and that is gone or cannot be read, is left out.
    """
    info = store.load(session_id).info
    turns = _turns(store, data_dir, info)
    above = {session_id: _Calls(turns)}
    depths = {session_id: 0}
    for child in descendants(session_id, store.sessions()):
        origin = child.parent
        if origin and depths.get(origin.session, DEEPEST) < DEEPEST:
            with suppress(NotFound, Damaged):
                begun = _turns(store, data_dir, child)
                above[origin.session].nest(begun, origin.call)
                above[child.id], depths[child.id] = _Calls(begun), depths[origin.session] + 1
    return Trace(info, turns)


def _turns(store: Store, data_dir: Path, info: SessionInfo) -> list[TurnSpan]:
    entries = list(read_entries(trace_file(data_dir, info.id)))
    return turns_of(info, entries, store.read(info.id, 0, info.message_count))


class _Calls:
    """The calls in the turns of one session, with the turn of each."""

    def __init__(self, turns: Iterable[TurnSpan]) -> None:
        self._by_id: defaultdict[str | None, list[_Place]] = defaultdict(list)
        self._by_name: defaultdict[str, list[_Place]] = defaultdict(list)
        for turn in turns:
            for call in turn.calls:
                self._by_id[call.id].append((turn, call))
                self._by_name[call.name].append((turn, call))

    def nest(self, turns: Iterable[TurnSpan], origin: str) -> None:
        """Put turns of another session below the calls which they answer; `origin` is the one that began it."""
        for number, turn in enumerate(turns):
            is_asked = turn.run is None or turn.parent is not None
            found = self._find(turn, None if number else origin) if is_asked else None
            if found:
                asker, call = found
                turn.asker = turn.asker or asker.session.po_name
                call.turns.append(turn)

    def _find(self, turn: TurnSpan, origin: str | None) -> "_Place | None":
        """Find the call that a turn answers: by what was kept of it, else by its origin, else by time."""
        kept = [place for place in self._by_id[turn.call_id] if turn.parent and place[0].run == turn.parent]
        places = kept or self._by_id[origin]
        if not places and turn.run is None:
            places = [place for place in self._by_name[turn.session.po_name] if _is_during(turn, place[1])]
        begun = [place for place in places if _is_begun(turn, place[1])]  # some servers use an id again
        return next(reversed(begun or places), None)


def _is_begun(turn: TurnSpan, call: CallSpan) -> bool:
    return turn.started_at is None or call.at is None or call.at <= turn.started_at


def _is_during(turn: TurnSpan, call: CallSpan) -> bool:
    if turn.started_at is None or call.at is None:
        return False
    return call.at <= turn.started_at and (call.ended_at is None or turn.started_at <= call.ended_at)
