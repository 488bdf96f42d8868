"""Ctrl-C in the session of one that was asked: it stops that one alone, also where it is pressed twice."""

from time import monotonic

from prompt_objects.running import LiveTurn, Running

__all__ = ["OneStopped", "is_at_work_for"]

AGAIN_SECONDS = 1.0
"""How long after the end of the one that was stopped a Ctrl-C may still be meant for it."""


class OneStopped:
    """The turn that was last stopped by itself."""

    def __init__(self) -> None:
        self._turn: LiveTurn | None = None
        self._at = 0.0
        self._is_told = False

    def stop(self, turn: LiveTurn) -> bool:
        """Stop a turn, and it alone; False where that was done before."""
        if turn is self._turn:
            return False
        turn.stop()
        self._turn, self._at, self._is_told = turn, monotonic(), False
        return True

    def was_meant(self, session_id: str, *, is_ending: bool) -> bool:
        """Say, once, whether a Ctrl-C in a session may be meant for the one that was stopped there."""
        if self._turn is None or self._turn.session.id != session_id or self._is_told:
            return False
        self._is_told = is_ending or monotonic() - self._at < AGAIN_SECONDS
        return self._is_told


def is_at_work_for(running: Running, session_id: str, turn: LiveTurn) -> bool:
    """Say whether what is under way in a session is a turn, or was asked for by it, directly or through others."""
    at = running.in_session(session_id)
    for _ in range(len(at.path) - len(turn.path) if at else 0):
        parent = at.session.parent if at else None
        at = running.in_session(parent.session) if parent else None
    return at is turn
