"""A package adds a kind of store with one file and an entry point; the environment runs on it."""

from pathlib import Path

import pytest

from prompt_objects import Environment
from prompt_objects.errors import UsageError
from prompt_objects.sessions.stores.base import Archiving, Checking
from prompt_objects.sessions.stores.lease import Leasing
from prompt_objects.sessions.stores.registry import open_store

STORE = """
from msgspec.structs import replace
from prompt_objects.errors import Conflict, NameTaken, NotFound
from prompt_objects.sessions.info import SessionRecord, TrashedSession, with_totals
from prompt_objects.sessions.names import unique_name as numbered
from prompt_objects.sessions.stores.base import ALL_SESSIONS
from prompt_objects.sessions.stores.memory import MemoryFrames
from prompt_objects.utils.time import now

URLS = []

def open_dict_store(url, options):
    URLS.append(url)
    return DictStore()

class DictStore:
    def __init__(self):
        self.live, self.deleted, self.frames = {}, {}, MemoryFrames()

    def create(self, info, metadata, messages=(), *, unique_name=False, enforce_limit=False):
        names = [each.name for each in self.list() if each.po_name == info.po_name]
        if info.name in names:
            if not unique_name:
                raise NameTaken(f"{info.name} is taken.", suggestion=numbered(info.name, names))
            info = replace(info, name=numbered(info.name, names))
        return self.save(with_totals(info, messages), metadata, list(messages)).record

    def save(self, info, metadata, messages):
        self.live[info.id] = Kept(SessionRecord(info, metadata), messages)
        return self.live[info.id]

    def find(self, session_id):
        if session_id not in self.live:
            raise NotFound(f"There is no session {session_id}.")
        return self.live[session_id]

    def load(self, session_id):
        return self.find(session_id).record

    def read(self, session_id, start, stop):
        return self.find(session_id).messages[start:stop]

    def append(self, session_id, messages, *, expected, enforce_limit=True):
        kept = self.find(session_id)
        if len(kept.messages) != expected:
            raise Conflict("Another writer appended messages.")
        history = [*kept.messages, *messages]
        info = with_totals(replace(kept.record.info, updated_at=now()), history)
        return self.save(info, kept.record.metadata, history).record.info

    def update(self, session_id, *, name=None, metadata=None):
        kept = self.find(session_id)
        info = replace(kept.record.info, name=name or kept.record.info.name)
        return self.save(info, kept.record.metadata if metadata is None else metadata, kept.messages).record

    def truncate(self, session_id, count, *, expected=None):
        kept = self.find(session_id)
        history = kept.messages[:count]
        return self.save(with_totals(kept.record.info, history), kept.record.metadata, history).record

    def delete(self, session_id):
        self.deleted[session_id] = self.find(session_id), now()
        del self.live[session_id]

    def restore(self, session_id):
        self.live[session_id] = self.deleted.pop(session_id)[0]
        return self.load(session_id)

    def trash(self):
        return [TrashedSession(kept.record.info, moment) for kept, moment in reversed(self.deleted.values())]

    def read_trashed(self, session_id):
        kept, _ = self.deleted[session_id]
        return kept.record, kept.messages

    def purge(self, session_id):
        del self.deleted[session_id]

    def close(self):
        pass

    def list(self, where=ALL_SESSIONS, *, limit=None):
        infos = [kept.record.info for kept in self.live.values()]
        return where.select(sorted(infos, key=lambda info: (info.updated_at, info.id), reverse=True))[:limit]

class ClassStore(DictStore):
    def __init__(self, url, options):
        super().__init__()

class Kept:
    def __init__(self, record, messages):
        self.record, self.messages = record, messages
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package with two stores; one of them cannot be loaded."""
    folder = tmp_path / "site"
    (folder / "dict_store-1.0.dist-info").mkdir(parents=True)
    (folder / "dict_store.py").write_text(STORE)
    (folder / "dict_store-1.0.dist-info" / "METADATA").write_text("Name: dict-store\nVersion: 1.0\n")
    (folder / "dict_store-1.0.dist-info" / "entry_points.txt").write_text(
        "[prompt_objects.stores]\ndict = dict_store:open_dict_store\nclass = dict_store:ClassStore\n"
        "broken = dict_store:missing\nfiles = dict_store:missing\n"
    )
    monkeypatch.syspath_prepend(str(folder))


@pytest.mark.usefixtures("package")
async def test_an_environment_runs_on_the_store_of_a_package(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects" / "scout.yaml").write_text("name: scout\nprompt: You look.\n")
    with Environment.open(tmp_path, model="rehearsal", store="dict:anywhere") as env:
        store, scout = env.storage.store, env["scout"]
        session = scout.session_manager.create("Notes")
        reply = await scout.receive("Hi", session=session)
        assert [message["content"] for message in session.history] == ["Hi", reply.text]
        manager = scout.session_manager
        assert [info.name for info in manager.list(limit=1)] == ["Notes"]
        manager.truncate("Notes", 1)
        assert manager.get("Notes").message_count == 1
        manager.rename("Notes", "Other")
        manager.delete("Other")
        assert manager.list() == []
        manager.undo()
        assert [info.name for info in manager.list()] == ["Other"]
        with pytest.raises(UsageError, match="cannot archive"):
            manager.archive("Other")
        assert env.take_notices() == []
    for ability in (Leasing, Checking, Archiving):
        assert not isinstance(store, ability)


@pytest.mark.usefixtures("package")
def test_the_class_of_a_store_is_called_as_a_function_is() -> None:
    assert open_store("class:anywhere").list() == []


@pytest.mark.usefixtures("package")
def test_a_store_that_cannot_be_loaded_is_an_error_and_built_in_schemes_stay(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="The store broken: of dict_store:missing cannot be loaded: AttributeError"):
        open_store("broken:anything")
    with pytest.raises(UsageError, match="does not name a store"):
        open_store("unknown:anything")
    assert type(open_store(f"files:{tmp_path}")).__name__ == "FileStore"
