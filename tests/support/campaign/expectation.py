"""The expected content of a store after its acknowledged operations: a deliberately simple model."""

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from tests.support.campaign.operations import Operation

__all__ = ["Held", "State", "after", "outcomes"]


class Held(Struct, frozen=True):
    """A session: its messages by their numbers, its metadata by a mark."""

    name: str
    numbers: tuple[int, ...]
    mark: int
    trashed: bool = False


State: TypeAlias = dict[str, Held]


def after(state: State, operation: "Operation") -> State:
    """Return the state after an operation."""
    if operation.kind == "create":
        return {**state, operation.id: Held(operation.name, operation.numbers, operation.mark)}
    if operation.kind == "purge":
        return {key: held for key, held in state.items() if key != operation.id}
    return {**state, operation.id: _changed(state[operation.id], operation)}


def _changed(held: Held, operation: "Operation") -> Held:
    changed: dict[str, dict[str, Any]] = {
        "append": {"numbers": held.numbers + operation.numbers},
        "rename": {"name": operation.name},
        "note": {"mark": operation.mark},
        "truncate": {"numbers": held.numbers[: operation.count]},
        "delete": {"trashed": True},
        "restore": {"trashed": False},
        "archive": {},
        "prune": {},
    }
    return replace(held, **changed[operation.kind])


def outcomes(state: State, pending: Sequence["Operation"], *, torn: bool = False) -> list[State]:
    """Return the possible states if some operations, each by another writer, had started and were not acknowledged.

    Each was done or not; of several messages in one write the first few may be saved, each complete.
    If a power failure may have `torn` the write, any of them may be saved.
    """
    possible = [state]
    for operation in pending:
        done = [operation, *(replace(operation, numbers=numbers) for numbers in _parts(operation, torn=torn))]
        possible += [after(before, each) for before in possible for each in done]
    return possible


def _parts(operation: "Operation", *, torn: bool) -> list[tuple[int, ...]]:
    """Return the messages of an interrupted operation that may be saved; all and none are excluded."""
    if operation.kind != "append":
        return []
    lengths = range(1, len(operation.numbers))
    if torn:
        return [part for length in lengths for part in combinations(operation.numbers, length)]
    return [operation.numbers[:length] for length in lengths]
