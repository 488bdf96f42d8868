"""Stopping one turn of several that work on a message."""

from time import monotonic

from prompt_objects.runtime.active_turns import ActiveTurn, ActiveTurns

REPEAT_SECONDS = 1.0
"""How long after a Ctrl-C another one counts as its repetition, although the stopped turn has ended."""


class LastStop:
    """The last turn of a delegate that the user stopped without its callers."""

    def __init__(self) -> None:
        self._turn: ActiveTurn | None = None
        self._at = 0.0
        self._was_repeated = False

    def stop(self, turn: ActiveTurn) -> bool:
        """Stop one turn; return False if it was stopped before."""
        if turn is self._turn:
            return False
        turn.stop()
        self._turn, self._at, self._was_repeated = turn, monotonic(), False
        return True

    def is_repeat(self, session_id: str, *, is_ending: bool) -> bool:
        """Return whether a Ctrl-C in a session repeats the last stop, whose turn is ending or has just ended.

        After the turn has ended, at most one does.
        """
        if self._turn is None or self._turn.session.id != session_id or self._was_repeated:
            return False
        self._was_repeated = is_ending or monotonic() - self._at < REPEAT_SECONDS
        return self._was_repeated


def works_for(active_turns: ActiveTurns, session_id: str, turn: ActiveTurn) -> bool:
    """Return whether the active turn of a session is `turn`, or was started by it, directly or through others."""
    active = active_turns.in_session(session_id)
    for _ in range(len(active.path) - len(turn.path) if active else 0):
        parent = active.session.parent if active else None
        active = active_turns.in_session(parent.session) if parent else None
    return active is turn
