"""What has to be in a store, by what it acknowledged: a model so simple that it cannot be wrong."""

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from deeds import Deed

__all__ = ["Held", "State", "after", "outcomes"]


class Held(Struct, frozen=True):
    """A session: its messages by their numbers, its metadata by a mark."""

    name: str
    numbers: tuple[int, ...]
    mark: int
    trashed: bool = False


State: TypeAlias = dict[str, Held]


def after(state: State, deed: "Deed") -> State:
    """Return what is there once a deed is done."""
    if deed.kind == "create":
        return {**state, deed.id: Held(deed.name, deed.numbers, deed.mark)}
    if deed.kind == "purge":
        return {key: held for key, held in state.items() if key != deed.id}
    return {**state, deed.id: _changed(state[deed.id], deed)}


def _changed(held: Held, deed: "Deed") -> Held:
    changed: dict[str, dict[str, Any]] = {
        "append": {"numbers": held.numbers + deed.numbers},
        "rename": {"name": deed.name},
        "note": {"mark": deed.mark},
        "truncate": {"numbers": held.numbers[: deed.count]},
        "delete": {"trashed": True},
        "restore": {"trashed": False},
        "archive": {},
    }
    return replace(held, **changed[deed.kind])


def outcomes(state: State, pending: Sequence["Deed"], *, torn: bool = False) -> list[State]:
    """Return what may be there where some deeds, each of another writer, had been begun and not acknowledged.

    Each was done or not; of several messages in one write the first few may have come through, every one whole.
    Where a write may be `torn` by the power, any of them may.
    """
    possible = [state]
    for deed in pending:
        done = [deed, *(replace(deed, numbers=numbers) for numbers in _parts(deed, torn=torn))]
        possible += [after(before, each) for before in possible for each in done]
    return possible


def _parts(deed: "Deed", *, torn: bool) -> list[tuple[int, ...]]:
    """Return what may have come of the messages of a deed that was cut off; all and none are not among it."""
    if deed.kind != "append":
        return []
    lengths = range(1, len(deed.numbers))
    if torn:
        return [part for length in lengths for part in combinations(deed.numbers, length)]
    return [deed.numbers[:length] for length in lengths]
