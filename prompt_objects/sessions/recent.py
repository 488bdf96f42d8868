"""The prompt object and the sessions used last, so that the next start continues there."""

import json
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from prompt_objects.utils.filesystem import make_folder, read_file, replace_file
from prompt_objects.utils.resources import raise_if_exhausted


class RecentSessions:
    """The prompt object and the sessions used last, in a file, or in memory if there is no `path`.

    This is a convenience: a file that cannot be read counts as empty, and errors when writing are ignored. Within a
    process its own last use counts, not that of other windows.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = Lock()
        self._object: str | None = None
        self._sessions: dict[str, str] = {}

    def last_object(self) -> str | None:
        """Return the name of the prompt object used last; None if it is not known."""
        with self._lock:
            return self._object or self._read()[0]

    def last_session(self, po_name: str) -> str | None:
        """Return the id of the session of a prompt object used last; None if it is not known."""
        with self._lock:
            if po_name not in self._sessions and (session_id := self._read()[1].get(po_name)):
                self._sessions[po_name] = session_id
            return self._sessions.get(po_name)

    def use_object(self, name: str) -> None:
        """Remember a prompt object as the one used last."""
        with self._lock:
            self._object = name
            self._write()

    def use_session(self, po_name: str, session_id: str) -> None:
        """Remember a session as the one of its prompt object used last."""
        with self._lock:
            if self._sessions.get(po_name) != session_id:
                self._sessions[po_name] = session_id
                self._write()

    def _read(self) -> tuple[str | None, dict[str, str]]:
        state: Any = None
        if self._path:
            try:
                state = json.loads(read_file(self._path))
            except (OSError, ValueError, RecursionError) as error:
                raise_if_exhausted(error)  # otherwise another session would be taken for the last one
        if not isinstance(state, dict):
            return None, {}
        name, sessions = state.get("object"), state.get("sessions")
        pairs = sessions.items() if isinstance(sessions, dict) else ()
        return (name if isinstance(name, str) else None), {po: key for po, key in pairs if isinstance(key, str)}

    def _write(self) -> None:
        if self._path is None:
            return
        name, sessions = self._read()
        state = {"object": self._object or name, "sessions": {**sessions, **self._sessions}}
        with suppress(OSError):
            make_folder(self._path.parent)
            replace_file(self._path, [json.dumps(state, indent=1).encode()], durable=False)
