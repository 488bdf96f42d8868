"""Which session a person means by a key: a name, an id, or the beginning of one."""

from collections.abc import Sequence

from prompt_objects.errors import Ambiguous, NotFound
from prompt_objects.sessions.info import SessionInfo
from prompt_objects.utils.text import did_you_mean, pluralize, time_ago

__all__ = [
    "resolve_key",
]

_SHORTEST_PREFIX = 4


def resolve_key(key: str, infos: Sequence[SessionInfo], where: str) -> SessionInfo:
    """Choose the one session that a key means: a whole name, the beginning of an id, a name in any capitals.

    Raises `NotFound`, which says that there is none `where` it was looked for, and `Ambiguous`.
    """
    folded = key.casefold()
    is_prefix = len(key) >= _SHORTEST_PREFIX
    for found in (
        [info for info in infos if key in (info.name, info.id)],
        [info for info in infos if is_prefix and info.id.startswith(key.lower())],
        [info for info in infos if info.name.casefold() == folded],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            candidates = [_described(info, _short_id(info, infos)) for info in found]
            raise Ambiguous(
                f"{key!r} may mean any of {len(found)} sessions.",
                candidates=candidates,
                hint="Use the beginning of an id:\n" + "\n".join(candidates[:10]),
            )
    nearest = did_you_mean(key, (info.name for info in infos))
    raise NotFound(f"There is no session {key!r} {where}.", hint=nearest)


def _short_id(info: SessionInfo, infos: Sequence[SessionInfo]) -> str:
    """Return the beginning of an id that no other one shares, at least 8 characters of it."""
    others = [other.id for other in infos if other.id != info.id]
    length = 8
    while any(other.startswith(info.id[:length]) for other in others):
        length += 1
    return info.id[:length]


def _described(info: SessionInfo, short_id: str) -> str:
    messages = pluralize(info.message_count, "message")
    return f"{short_id} {info.name} of {info.po_name}, {messages}, {time_ago(info.updated_at)}"
