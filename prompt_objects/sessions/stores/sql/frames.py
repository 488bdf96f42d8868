"""Request frames in a database."""

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, inspect, select

from prompt_objects.errors import Damaged, NotFound
from prompt_objects.sessions.stores.frames import RENEW, checked_frame, digest_of, is_digest
from prompt_objects.sessions.stores.sql.database import Database
from prompt_objects.sessions.stores.sql.schema import FRAMES, AnyRow

_MICROSECOND = timedelta(microseconds=1)


class SqlFrames:
    """The request frames in a table. Times are those of the clock of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: dict[str, float] = {}  # when each was last written, so that most calls need no statement

    @property
    def _now(self) -> ColumnElement[int]:
        return self._database.clock * 1000

    def keep(self, frame: bytes) -> str:
        digest, moment = digest_of(frame), time.time()
        if not 0 <= moment - self._kept.get(digest, 0.0) < RENEW.total_seconds():
            values = {"content": frame.decode(), "used_at": self._now}
            statement = self._database.insert(FRAMES).values(digest=digest, **values)
            statement = statement.on_conflict_do_update(index_elements=["digest"], set_=values)
            self._database.write(lambda connection: connection.execute(statement))
            self._kept[digest] = moment
        return digest

    def get(self, digest: str) -> bytes:
        rows = self._rows(select(FRAMES.c.content).where(FRAMES.c.digest == digest)) if is_digest(digest) else []
        try:
            return checked_frame(digest, str(rows[0].content).encode() if rows else None)
        except (NotFound, Damaged):
            self._kept.pop(digest, None)  # so that the next `keep` writes it
            raise

    def remove(self, digest: str, *, unused_for: timedelta) -> bool:
        if not is_digest(digest):
            return False
        self._kept.pop(digest, None)
        is_unused = (FRAMES.c.digest == digest, FRAMES.c.used_at <= self._now - unused_for // _MICROSECOND)
        statement = delete(FRAMES).where(*is_unused).returning(FRAMES.c.digest)
        return self._database.write(lambda connection: connection.scalar(statement)) is not None

    def _rows(self, query: Select[Any]) -> Sequence[AnyRow]:
        """Return the rows of a query; none if there is no table, and it must not be created."""

        def work(connection: Connection) -> Sequence[AnyRow]:
            is_missing = self._database.read_only and not inspect(connection).has_table(FRAMES.name)
            return [] if is_missing else connection.execute(query).all()

        with suppress(NotFound):
            return self._database.read(work)
        return []

    def list(self) -> dict[str, timedelta]:
        rows = self._rows(select(FRAMES.c.digest, (self._now - FRAMES.c.used_at).label("age")))
        return {row.digest: row.age * _MICROSECOND for row in rows}
