"""Request frames travel with the answers that refer to them, and are removed only if nothing does."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import pytest

from prompt_objects.config.maintenance import BackupSettings
from prompt_objects.errors import StoreError
from prompt_objects.message import Message
from prompt_objects.sessions.backups import Backups
from prompt_objects.sessions.frames import check_frames, frame_of, keep_documents, prune_frames
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.store_copy import copy_store
from prompt_objects.sessions.stores.base import Store
from prompt_objects.sessions.stores.frames import digest_of
from prompt_objects.sessions.stores.json_lines import encode
from prompt_objects.sessions.stores.memory import MemoryStore
from prompt_objects.sessions.unsaved import UnsavedFolder
from tests.support.postgres import schema_of_its_own
from tests.support.store_urls import URLS, FullStore, open_full_store

pytest_plugins = ["tests.support.store_fixtures"]

FRAMES = [encode({"model": "m", "system": text, "price": 1.5}) for text in ("You look. \ud800", "Y\u2028 \x00")]
DIGESTS = [digest_of(frame) for frame in FRAMES]
QUESTION: Message = {"role": "user", "content": "How much?"}


def answer(digest: str) -> Message:
    return {"role": "assistant", "content": "42", "request": {"frame": digest}}


@pytest.fixture
def unused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prompt_objects.sessions.frames.UNUSED", timedelta(seconds=-1))


@pytest.fixture
def notes(manager: SessionManager) -> Session:
    session = manager.create("Notes")
    session.append(QUESTION, answer(DIGESTS[0]), answer(DIGESTS[1]), frames=FRAMES)
    return session


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Store]:
    with closing(open_full_store(f"sqlite:///{tmp_path / 'empty.db'}")) as store:
        yield store


def kept(store: Store) -> set[str]:
    return set(store.frames.list())


@pytest.mark.parametrize(
    "message",
    [
        QUESTION,
        {"role": "user", "content": "x", "request": {"frame": DIGESTS[0]}},
        {"role": "assistant", "content": "of an earlier version"},
        {"role": "assistant", "request": None},
        {"role": "assistant", "request": 3},
        {"role": "assistant", "request": [DIGESTS[0]]},
        {"role": "assistant", "request": {}},
        {"role": "assistant", "request": {"frame": 1}},
        {"role": "assistant", "request": {"frame": "../x"}},
    ],
)
def test_a_message_without_a_valid_reference_has_no_frame(message: Message) -> None:
    assert frame_of(message) is None


def test_a_session_has_the_frames_of_its_answers(notes: Session, store: FullStore) -> None:
    assert notes.frames == {digest: json.loads(frame) for digest, frame in zip(DIGESTS, FRAMES, strict=True)}
    store.frames.remove(DIGESTS[0], unused_for=timedelta(seconds=-1))
    assert notes.frames.keys() == {DIGESTS[1]}


@pytest.mark.parametrize("url", ["files"], indirect=True)
def test_no_answer_is_appended_if_its_frame_cannot_be_kept(notes: Session, tmp_path: Path) -> None:
    (tmp_path / "data" / "frames").rename(tmp_path / "frames")
    (tmp_path / "data" / "frames").write_bytes(b"")
    with pytest.raises(StoreError):
        notes.append(answer(digest_of(b"{}")), frames=[b"{}"])
    assert (notes.refresh(), notes.message_count) == ([], 3)


@pytest.mark.usefixtures("unused_at_once")
def test_every_way_of_a_session_keeps_its_frames(manager: SessionManager, notes: Session, store: FullStore) -> None:
    ways = [
        lambda: manager.duplicate("Notes", "Copy"),
        lambda: (manager.delete("Notes"), manager.purge()),
        lambda: manager.branch("Copy", 2, "Branch"),
        lambda: manager.archive("Copy"),
        lambda: manager.delete("Copy"),
        manager.restore,
        lambda: manager.get("Copy").append(QUESTION),
        lambda: manager.clear("Copy"),
        manager.undo,
    ]
    for way in ways:
        way()
        assert prune_frames(store, dry_run=False) == []
        assert kept(store) == {*DIGESTS}
    assert manager.get("Copy").frames.keys() == {*DIGESTS}
    assert manager.get("Branch").frames.keys() == {DIGESTS[0]}
    assert check_frames(store) == ([], [])


@pytest.fixture
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A new store of the kind that a test names."""
    urls = {
        "files": f"files:{tmp_path / 'target'}",
        "sqlite": f"sqlite:///{tmp_path / 'target.db'}",
        "memory": "memory:",
    }
    with ExitStack() as stack:
        if request.param == "postgresql":
            url = stack.enter_context(schema_of_its_own(request.getfixturevalue("postgres")))
        else:
            url = urls[request.param]
        yield stack.enter_context(closing(open_full_store(url)))


@pytest.mark.parametrize("target", URLS, indirect=True)
def test_a_copy_brings_them_to_every_kind_of_store(notes: Session, store: FullStore, target: Store) -> None:
    copy_store(store, target, lambda _done, _all: None)
    assert [target.frames.get(digest) for digest in DIGESTS] == FRAMES
    target.frames.remove(DIGESTS[0], unused_for=timedelta(seconds=-1))  # as in an interrupted or older copy
    assert [each.outcome for each in copy_store(store, target, lambda _done, _all: None)] == ["same"]
    assert [target.frames.get(digest) for digest in DIGESTS] == FRAMES
    assert check_frames(target) == ([], [])


def test_a_backup_brings_them_back_also_into_another_store(
    manager: SessionManager, notes: Session, store: FullStore, empty: Store, tmp_path: Path
) -> None:
    path = Backups(tmp_path / "backups", store, BackupSettings()).save(notes.id)
    manager.delete("Notes")
    for digest in DIGESTS:
        store.frames.remove(digest, unused_for=timedelta(seconds=-1))
    for target in (store, empty):
        restored = Backups(tmp_path / "backups", target, BackupSettings()).restore(path)
        assert Session(target, restored.record).history[1:] == notes.history[1:]
        assert [target.frames.get(digest) for digest in DIGESTS] == FRAMES


def test_the_json_export_has_them_and_one_without_answers_has_no_key(manager: SessionManager, notes: Session) -> None:
    assert json.loads(manager.export("Notes", "json"))["frames"].keys() == {*DIGESTS}
    manager.create("Other").append(QUESTION)
    assert "frames" not in json.loads(manager.export("Other", "json"))


def test_an_answer_that_was_not_saved_brings_them(notes: Session, empty: Store, tmp_path: Path) -> None:
    unsaved = UnsavedFolder(tmp_path / "env", tmp_path / "unsaved")
    assert unsaved.keep(notes, [answer(DIGESTS[0])], "The disk is full.", frames=FRAMES[:1])
    (record,) = unsaved.recover(empty)
    assert record.info.name == "Notes (recovered)"
    assert empty.frames.get(DIGESTS[0]) == FRAMES[0]


@pytest.mark.usefixtures("unused_at_once")
def test_pruning_removes_what_nothing_refers_to(manager: SessionManager, notes: Session, store: FullStore) -> None:
    unused = store.frames.keep(b"{}")
    assert check_frames(store) == ([], [unused])
    assert prune_frames(store, dry_run=True) == [unused]
    assert kept(store) == {*DIGESTS, unused}
    assert prune_frames(store, dry_run=False) == [unused]
    manager.delete("Notes")
    assert prune_frames(store, dry_run=False) == []
    manager.purge()
    assert prune_frames(store, dry_run=False) == sorted(DIGESTS)
    assert kept(store) == set()


def test_a_frame_used_in_the_last_hour_is_not_pruned(store: FullStore) -> None:
    unused = store.frames.keep(b"{}")
    assert prune_frames(store, dry_run=False) == []
    assert kept(store) == {unused}


@pytest.mark.usefixtures("unused_at_once")
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_nothing_is_pruned_while_a_session_is_damaged(
    manager: SessionManager, notes: Session, store: FullStore, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "data" / "sessions.db")) as database:
        database.execute("UPDATE messages SET body = 'x' WHERE n = 1")
        database.commit()
    store.frames.keep(b"{}")
    for dry_run in (True, False):
        assert prune_frames(store, dry_run=dry_run) == []
    assert len(kept(store)) == 3


@pytest.mark.usefixtures("unused_at_once")
@pytest.mark.parametrize("url", ["files"], indirect=True)
def test_a_dry_run_of_pruning_repairs_no_session(notes: Session, store: FullStore, tmp_path: Path) -> None:
    file = tmp_path / "data" / "sessions" / f"{notes.id}.json"
    torn = file.read_bytes().rstrip()[:-60]
    file.write_bytes(torn)
    store.frames.keep(b"{}")
    store.close()
    assert prune_frames(store, dry_run=True) == []
    assert file.read_bytes() == torn


def test_the_check_names_sessions_with_lost_frames(notes: Session, store: FullStore) -> None:
    store.frames.remove(DIGESTS[0], unused_for=timedelta(seconds=-1))
    (issue,), unused = check_frames(store)
    assert (issue.session_id, issue.repaired, unused) == (notes.id, False, [])
    assert issue.problem == "1 request frame of its answers cannot be read."


@pytest.mark.parametrize("document", [{"a": float("nan")}, [], None, {"a": 1}])
def test_a_frame_of_any_form_in_a_backup_does_not_prevent_its_restoration(document: object) -> None:
    store = MemoryStore()
    answer = {"role": "assistant", "request": {"frame": DIGESTS[0]}}
    keep_documents(store.frames, {DIGESTS[0]: document}, [answer])
    assert store.frames.list() == {}
