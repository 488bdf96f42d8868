"""What has to be in a store, by what it acknowledged: a model so simple that it cannot be wrong."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

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
    match deed.kind:
        case "append":
            return replace(held, numbers=held.numbers + deed.numbers)
        case "rename":
            return replace(held, name=deed.name)
        case "note":
            return replace(held, mark=deed.mark)
        case "truncate":
            return replace(held, numbers=held.numbers[: deed.count])
        case "delete":
            return replace(held, trashed=True)
        case "restore":
            return replace(held, trashed=False)
        case "archive":
            return held
        case other:
            raise AssertionError(other)


def outcomes(state: State, pending: Sequence["Deed"]) -> list[State]:
    """Return what may be there where some deeds, each of another writer, had been begun and not acknowledged.

    Each was done or not; of several messages in one write the first few may have come through, every one whole.
    """
    possible = [state]
    for deed in pending:
        partly = range(1, len(deed.numbers)) if deed.kind == "append" else ()
        done = [deed, *(replace(deed, numbers=deed.numbers[:count]) for count in partly)]
        possible += [after(before, each) for before in possible for each in done]
    return possible
