"""Guarantees of the memory store only; contract/ has those of every store."""

import os

import pytest
from msgspec.structs import replace

from prompt_objects.errors import SessionFull, StoreError, UsageError
from prompt_objects.sessions.info import SessionInfo, new_id
from prompt_objects.sessions.stores.base import StoreOptions
from prompt_objects.sessions.stores.lease import ProcessInfo
from prompt_objects.sessions.stores.memory import MemoryStore
from prompt_objects.sessions.stores.registry import open_store
from prompt_objects.utils.time import now


def info() -> SessionInfo:
    return SessionInfo(
        id=new_id(), name="Notes", po_name="reader", message_count=0, created_at=now(), updated_at=now()
    )


def test_opening_its_url_creates_a_new_store_each_time() -> None:
    store = open_store("memory:")
    store.create(info(), {})
    assert isinstance(store, MemoryStore)
    assert open_store("memory:").list() == []
    with pytest.raises(UsageError, match="memory:notes"):
        open_store("memory:notes")


def test_callers_cannot_change_stored_messages() -> None:
    store, metadata = MemoryStore(), {"tags": ["a"]}
    session = store.create(info(), metadata, [{"role": "user", "content": ["part"]}]).info
    metadata["tags"].append("b")
    store.load(session.id).metadata["tags"].append("c")
    store.read(session.id, 0, 1)[0]["content"].append("d")
    assert store.load(session.id).metadata == {"tags": ["a"]}
    assert store.read(session.id, 0, 1) == [{"role": "user", "content": ["part"]}]


def test_an_archived_session_is_unchanged_until_its_next_message() -> None:
    store = MemoryStore()
    messages = [{"role": "user", "content": number} for number in range(5)]
    session = store.create(info(), {}, messages).info
    assert store.archive(session.id).info.archived
    assert store.archive(session.id).info.archived
    assert store.read(session.id, 1, 3) == messages[1:3]
    assert store.truncate(session.id, 2).info.archived
    assert store.update(session.id, name="Other").info.archived
    after = store.append(session.id, messages[:1], expected=2)
    assert (after.archived, after.message_count) == (False, 3)
    assert store.read(session.id, 0, 9) == [*messages[:2], messages[0]]


def test_an_empty_session_can_be_archived() -> None:
    store = MemoryStore()
    session = store.archive(store.create(info(), {}).info.id).info
    assert store.read(session.id, 0, 9) == []
    assert store.append(session.id, [{"role": "user", "content": "x"}], expected=0).message_count == 1


def test_the_size_limit_applies_to_user_messages_and_not_to_answers() -> None:
    store = MemoryStore(StoreOptions(max_session_size=100))
    session = store.create(info(), {}).info
    store.append(session.id, [{"role": "user", "content": "x" * 60}], expected=0)
    with pytest.raises(SessionFull, match="max_session_size"):
        store.append(session.id, [{"role": "user", "content": "x" * 60}], expected=1)
    store.append(session.id, [{"role": "assistant", "content": "x" * 60}], expected=1)
    store.truncate(session.id, 0)
    store.append(session.id, [{"role": "user", "content": "x" * 60}], expected=0)


def test_an_id_can_be_used_once() -> None:
    store, first = MemoryStore(), info()
    store.create(first, {})
    with pytest.raises(StoreError, match=first.id):
        store.create(replace(first, name="Other"), {})


def test_a_forked_child_holds_no_leases() -> None:
    store, key = MemoryStore(), new_id()
    lease = store.lease(key, ProcessInfo.current("ann"))
    child = os.fork()
    if child == 0:
        os._exit(0 if store.holder(key) is None and store.list() == [] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.holder(key)
    lease.release()
    assert store.holder(key) is None
