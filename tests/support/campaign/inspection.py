"""Inspection of a store: its content by its own methods, and its files as any other program reads them."""

import gzip
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from prompt_objects.message import Message
from prompt_objects.sessions.frames import FrameUse
from prompt_objects.sessions.info import SessionInfo
from prompt_objects.sessions.stores.base import Store
from tests.support.campaign.expectation import Held, State
from tests.support.campaign.operations import frame_for, message_of

__all__ = ["check_files", "observe", "read_session", "remove_unused_frames"]

_SESSION_KEYS = {"id", "name", "po_name", "created_at", "metadata", "history", "updated_at"}
_ENTRY_KEYS = {"id", "name", "po_name", "message_count", "created_at", "updated_at"}
_MORE_KEYS = {"user_id", "parent", "tags"}
_DERIVED_KEYS = {"prompt_tokens", "completion_tokens", "cached_tokens", "cost", "archived"}


def observe(store: Store, *, sums: bool = True) -> State:
    """Return the content of a store; check that messages and frames are unchanged and all its methods agree.

    Without `sums` token totals may be wrong, which only a check of a file store finds.
    """
    infos = store.list()
    assert infos == sorted(infos, key=lambda info: (info.updated_at, info.id), reverse=True)
    assert infos[:2] == store.list(limit=2)
    assert len({info.name for info in infos}) == len(infos)
    state: State = {}
    for info in infos:
        record = store.load(info.id)
        assert record.info == info
        messages = store.read(info.id, 0, info.message_count + 1)
        for start in (info.message_count - 1, info.message_count - 3, info.message_count // 2):
            assert store.read(info.id, max(0, start), info.message_count) == messages[max(0, start) :]
        assert not sums or _sums(messages) == (info.prompt_tokens, info.completion_tokens)
        state[info.id] = _held(info, record.metadata, messages)
        _check_frames(store, messages)
    for entry in store.trash():
        assert entry.info.id not in state
        record, messages = store.read_trashed(entry.info.id)
        state[entry.info.id] = _held(entry.info, record.metadata, messages, trashed=True)
        _check_frames(store, messages)
    return state


def _check_frames(store: Store, messages: list[Message]) -> None:
    """Check that no answer is there without its frame."""
    frames = {
        message["request"]["frame"]: frame_for(message["number"]) for message in messages if "request" in message
    }
    assert {digest: store.frames.get(digest) for digest in frames} == frames


def remove_unused_frames(store: Store) -> None:
    """Remove all frames that no session refers to, also those used just now: nothing else uses the store."""
    for digest in FrameUse(store).unused(store.frames.list()):
        assert store.frames.remove(digest, unused_for=timedelta(seconds=-1))


def _held(info: SessionInfo, metadata: dict[str, Any], messages: list[Message], *, trashed: bool = False) -> Held:
    assert info.message_count == len(messages)
    for message in messages:
        assert message == message_of(message["number"])
    return Held(info.name, tuple(message["number"] for message in messages), metadata.get("mark", 0), trashed)


def _sums(messages: list[Message]) -> tuple[int, int]:
    usages = [message.get("usage", {}) for message in messages]
    prompt = sum(usage.get("prompt_tokens", 0) for usage in usages)
    return prompt, sum(usage.get("completion_tokens", 0) for usage in usages)


def read_session(path: Path) -> dict[str, Any]:
    """Read a session file as any program would: as UTF-8 and JSON, decompressed if it is archived."""
    data = path.read_bytes()
    document: dict[str, Any] = json.loads((gzip.decompress(data) if path.suffix == ".gz" else data).decode())
    assert _SESSION_KEYS <= document.keys() <= _SESSION_KEYS | _MORE_KEYS, path
    assert path.name.startswith(document["id"])
    return document


def check_files(data: Path) -> None:
    """Check that the files of a file store are plain JSON with the documented keys and the index agrees with them."""
    folder = data / "sessions"
    documents = {}
    for path in [*folder.glob("*-*.json"), *folder.glob("*-*.json.gz")]:
        document = read_session(path)
        documents[document["id"]] = (document, path.suffix == ".gz")
    index = json.loads((folder / "index.json").read_bytes().decode())
    assert index.keys() == {"sessions"}
    entries = {entry["id"]: entry for entry in index["sessions"]}
    assert len(entries) == len(index["sessions"])
    assert entries.keys() == documents.keys()
    for key, (document, archived) in documents.items():
        _check_entry(entries[key], document, archived=archived)


def _check_entry(entry: dict[str, Any], document: dict[str, Any], *, archived: bool) -> None:
    assert _ENTRY_KEYS <= entry.keys() <= _ENTRY_KEYS | _MORE_KEYS | _DERIVED_KEYS
    history = document["history"]
    assert entry["message_count"] == len(history)
    assert entry.get("archived", False) == archived
    assert (entry.get("prompt_tokens", 0), entry.get("completion_tokens", 0)) == _sums(history)
    for key in ("name", "po_name"):
        assert entry[key] == document[key], key
    for key in ("created_at", "updated_at"):
        assert datetime.fromisoformat(entry[key]) == datetime.fromisoformat(document[key]), key
