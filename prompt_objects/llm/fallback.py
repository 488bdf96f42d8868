"""The models of a turn: the selected one, and its fallbacks."""

from collections import deque
from collections.abc import Callable, Iterable

from prompt_objects.errors import (
    BrokenStream,
    ContextTooLong,
    PromptObjectsError,
    RateLimited,
    RegionNotSupported,
    ServerFailed,
    UnknownModel,
    Unreachable,
)
from prompt_objects.llm.connection import ModelConnection

# Errors that another model may not have. A rejected key, quota or request is left to the user.
_FALLBACK_ERRORS = (
    BrokenStream,
    ContextTooLong,
    RateLimited,
    RegionNotSupported,
    ServerFailed,
    UnknownModel,
    Unreachable,
)


class FallbackChain:
    """The current `connection` and its fallbacks, which are created when needed and kept for the rest of the turn."""

    def __init__(self, connection: ModelConnection, others: Iterable[Callable[[], ModelConnection]] = ()) -> None:
        self.connection = connection
        self._others = deque(others)

    @property
    def has_fallback(self) -> bool:
        """Whether there is another model to try."""
        return bool(self._others)

    def advance(self, error: BaseException) -> list[str]:
        """Switch to the next fallback that works; return notices, the last one with its name.

        Raises `error` if another model would not help or there is no fallback left. May block for a moment, so do
        not call this on the event loop.
        """
        if not isinstance(error, _FALLBACK_ERRORS):
            raise error
        notices: list[str] = []
        while self._others:
            try:
                self.connection = self._others.popleft()()
            except PromptObjectsError as unusable:
                notices.append(f"A fallback cannot be used: {unusable}")
            else:
                return [*notices, f"{self.connection.llm.model} responds instead: {error}"]
        raise error
