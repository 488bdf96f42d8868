"""Which object and which sessions were used last, so that the next start goes on there.

A convenience: a file that cannot be read counts as empty, and one that cannot be written is left. Within one
process what was said last counts, whatever other windows do meanwhile.
"""

import json
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

__all__ = [
    "RecentSessions",
]


class RecentSessions:
    """What was used last, kept in a file, or, without one, for as long as this lives."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = Lock()
        self._object: str | None = None
        self._sessions: dict[str, str] = {}

    def last_object(self) -> str | None:
        """Return the name of the prompt object that was used last; None where that is not known."""
        with self._lock:
            return self._object or self._kept()[0]

    def last_session(self, po_name: str) -> str | None:
        """Return the id of the session of that prompt object that was used last; None where not known."""
        with self._lock:
            if po_name not in self._sessions and (kept := self._kept()[1].get(po_name)):
                self._sessions[po_name] = kept
            return self._sessions.get(po_name)

    def use_object(self, name: str) -> None:
        """Note that this prompt object is the one in use."""
        with self._lock:
            self._object = name
            self._keep()

    def use_session(self, po_name: str, session_id: str) -> None:
        """Note that this session is the one in use of that prompt object."""
        with self._lock:
            if self._sessions.get(po_name) != session_id:
                self._sessions[po_name] = session_id
                self._keep()

    def _kept(self) -> tuple[str | None, dict[str, str]]:
        state: Any = None
        if self._path:
            with suppress(OSError, ValueError, RecursionError):
                state = json.loads(self._path.read_bytes())
        if not isinstance(state, dict):
            return None, {}
        name, sessions = state.get("object"), state.get("sessions")
        pairs = sessions.items() if isinstance(sessions, dict) else ()
        kept = {po_name: key for po_name, key in pairs if isinstance(key, str)}
        return (name if isinstance(name, str) else None), kept

    def _keep(self) -> None:
        if self._path is None:
            return
        from prompt_objects.utils.filesystem import make_folder, replace_file

        name, sessions = self._kept()
        state = {"object": self._object or name, "sessions": {**sessions, **self._sessions}}
        with suppress(OSError):
            make_folder(self._path.parent)
            replace_file(self._path, [json.dumps(state, indent=1).encode()], durable=False)
