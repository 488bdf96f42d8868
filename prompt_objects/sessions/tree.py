"""The tree of sessions: each delegation starts a child session."""

from collections import defaultdict
from collections.abc import Collection, Iterable

from prompt_objects.sessions.info import SessionInfo
from prompt_objects.sessions.stores.base import SessionFilter, Store
from prompt_objects.utils.text import pluralize

_MAX_PARENTS = 500  # in one query: databases have a limit


def stored_descendants(session_id: str, store: Store) -> list[SessionInfo]:
    """Return the descendants of a session in a store, parents first."""
    found: dict[str, SessionInfo] = {}
    parents = [session_id]
    while parents:
        some, parents = parents[:_MAX_PARENTS], parents[_MAX_PARENTS:]
        children = store.list(SessionFilter(parents=frozenset(some)))
        new = {info.id: info for info in children if info.id not in found and info.id != session_id}
        found |= new
        parents += new
    return list(found.values())


def descendants(session_id: str, among: Iterable[SessionInfo]) -> list[SessionInfo]:
    """Return the children of a session, their children and so on, parents first."""
    children: defaultdict[str, list[SessionInfo]] = defaultdict(list)
    for info in among:
        if info.parent and info.id != session_id:
            children[info.parent.session].append(info)
    found: list[SessionInfo] = []
    reached = [session_id]
    for parent in reached:
        found += children.pop(parent, [])  # removed, so that a cycle ends
        reached += [info.id for info in found[len(reached) - 1 :]]
    return found


def describe(infos: Collection[SessionInfo]) -> str:
    """Name the session at the top of a tree, and count the others; count the sessions if there are several trees."""
    ids = {info.id for info in infos}
    tops = [info for info in infos if not info.parent or info.parent.session not in ids]
    if len(tops) != 1:
        return pluralize(len(infos), "session")
    others = f" and {pluralize(len(infos) - 1, 'session')} that its calls started" if len(infos) > 1 else ""
    return f"session {tops[0].name}{others}"
