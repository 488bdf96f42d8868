"""Sessions that came of another one: those that its calls started, theirs, and so on."""

from collections import defaultdict
from collections.abc import Iterable

from prompt_objects.sessions.info import SessionInfo

__all__ = [
    "descendants",
]


def descendants(session_id: str, among: Iterable[SessionInfo]) -> list[SessionInfo]:
    """Return those among the sessions that came of one, parents before their children."""
    children: defaultdict[str, list[SessionInfo]] = defaultdict(list)
    for info in among:
        if info.parent and info.id != session_id:
            children[info.parent.session].append(info)
    found: list[SessionInfo] = []
    reached = [session_id]
    for parent in reached:
        found += children.pop(parent, [])  # taken out, so that a circle ends
        reached += [info.id for info in found[len(reached) - 1 :]]
    return found
