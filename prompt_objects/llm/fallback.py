"""The models of a turn: the one that answers, and those that stand in for it."""

from collections import deque
from collections.abc import Callable, Iterable

from prompt_objects.errors import (
    BrokenStream,
    PromptObjectsError,
    RateLimited,
    ServerFailed,
    UnknownModel,
    Unreachable,
)
from prompt_objects.llm.connect import ModelConnection

__all__ = [
    "FallbackChain",
]

# What another model may get right. A key, a quota or a request that was refused is for a person to see to.
_ANOTHER_MAY_ANSWER = (BrokenStream, RateLimited, ServerFailed, UnknownModel, Unreachable)


class FallbackChain:
    """Begins with `connection`; the others are made when they are needed, and then stay for the rest of the turn."""

    def __init__(self, connection: ModelConnection, others: Iterable[Callable[[], ModelConnection]] = ()) -> None:
        self.connection = connection
        self._others = deque(others)

    def advance(self, error: BaseException) -> list[str]:
        """Let the next model that there is stand in, and say so in sentences, the last of which names it.

        Raises the error where it is not one of a model that does not answer, or where there is nobody left. May take
        a moment, so not on the event loop.
        """
        if not isinstance(error, _ANOTHER_MAY_ANSWER):
            raise error
        told: list[str] = []
        while self._others:
            try:
                self.connection = self._others.popleft()()
            except PromptObjectsError as unusable:
                told.append(f"One that was to stand in cannot: {unusable}")
            else:
                return [*told, f"{self.connection.llm.model} answers instead: {error}"]
        raise error
