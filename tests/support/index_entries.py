"""Entries of an index, and the files and writes that belong to them."""

import json
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from prompt_objects.sessions.info import SessionInfo, header_of, new_id
from prompt_objects.sessions.stores.file.format import document
from prompt_objects.sessions.stores.file.store import FileStore
from tests.support.file_store import index_of

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def made(number: int, seconds: float, user_id: str | None = None) -> SessionInfo:
    moment = BEGAN + timedelta(seconds=seconds)
    return SessionInfo(
        id=f"00000000-0000-7000-8000-{number * 7919 % 1_000_003:012}",  # in no order
        name=f"Notes {number}",
        po_name="reader",
        message_count=number,
        created_at=BEGAN,
        updated_at=moment,
        user_id=user_id,
    )


def in_order(infos: Iterable[SessionInfo]) -> list[SessionInfo]:
    return sorted(infos, key=lambda info: (info.updated_at, info.id), reverse=True)


def fill(folder: Path, count: int) -> list[SessionInfo]:
    """Write session files, oldest first, as if another program had."""
    (folder / "sessions").mkdir(parents=True)
    infos = []
    for number in range(count):
        info = replace(made(number, number), id=new_id(), message_count=0)
        chunks = document(header_of(info, {}), [], f"{info.updated_at:%Y-%m-%dT%H:%M:%S.%fZ}")
        (folder / "sessions" / f"{info.id}.json").write_bytes(b"".join(chunks))
        infos.append(info)
    return infos


def check(folder: Path) -> list[SessionInfo]:
    """Check that every store lists each session file once, in order, and correctly after it was loaded."""
    with closing(FileStore(folder)) as store:
        for info in store.list():
            store.load(info.id)
        infos = store.list()
        assert infos == in_order(infos)
        for limit in (0, 1, 10, len(infos) + 1):
            assert store.list(limit=limit) == infos[:limit]
    files = {path.stem: json.loads(path.read_bytes()) for path in (folder / "sessions").glob("*-*.json")}
    listed = {info.id: (info.name, info.message_count) for info in infos}
    assert listed == {key: (file["name"], len(file["history"])) for key, file in files.items()}
    assert len(infos) == len(files) == len(index_of(folder))
    return infos
