"""What can be undone: a small journal of the last deeds, each noted before it is done.

No deed in it destroys anything, so the journal is a convenience: what it has forgotten is still in the trash.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from prompt_objects.errors import Conflict, NameTaken, NotFound, UsageError
from prompt_objects.sessions import disk

__all__ = ["Deed", "Operation", "UndoJournal"]

Operation: TypeAlias = Literal["rename", "clear", "truncate", "delete"]

_MOST = 10


class Deed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something done to a session, which was called `name` before, with all that it takes to undo it."""

    operation: Operation
    session: str
    name: str
    po_name: str
    user_id: str | None
    at: datetime
    others: tuple[str, ...] = ()  # delete: the sessions that went with it
    kept: int = 0  # clear, truncate: how many messages are left
    copy: str = ""  # clear, truncate: the copy in the trash


class _Journal(Struct, frozen=True):
    deeds: list[Deed]


_DECODE = msgspec.json.Decoder(_Journal).decode


class UndoJournal:
    """The last ten deeds, kept in a file for all windows, or, without one, for as long as this lives.

    A file that cannot be read counts as empty, and is set aside as `.corrupt`. Raises `StoreError` where the disk
    refuses.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._mutex = Lock()
        self._deeds: list[Deed] = []

    @contextmanager
    def held(self) -> Iterator[list[Deed]]:
        """Have the deeds to oneself, the oldest first; however this ends, the list is kept as it is then."""
        with self._mutex:
            if self._path is None:
                yield self._deeds
                return
            with disk.locked_file(self._path.with_name(f"{self._path.name}.lock")):
                before = self._read(self._path)
                deeds = list(before)
                try:
                    yield deeds
                finally:
                    if deeds != before:
                        _write(self._path, deeds)

    @contextmanager
    def noting(self, deed: Deed) -> Iterator[None]:
        """Note a deed that is about to be done here, and forget it again where it is refused."""
        with self.held() as deeds:
            deeds.append(deed)
            del deeds[:-_MOST]
        try:
            yield
        except (Conflict, NameTaken, NotFound, UsageError):
            with self.held() as deeds, suppress(ValueError):
                deeds.remove(deed)
            raise

    def _read(self, path: Path) -> list[Deed]:
        try:
            return _DECODE(disk.read_file(path)).deeds
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError, RecursionError):
            with suppress(OSError):
                path.replace(path.with_name(f"{path.name}.corrupt"))
            return []


def _write(path: Path, deeds: list[Deed]) -> None:
    try:
        disk.replace_file(path, [msgspec.json.format(msgspec.json.encode(_Journal(deeds)), indent=1)])
    except OSError as error:
        raise disk.failure("written", path, error) from error
