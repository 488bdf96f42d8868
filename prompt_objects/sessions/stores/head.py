"""The head of a session file: who it is, and what is made of one that does not say it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from prompt_objects.message import timestamp
from prompt_objects.sessions.names import LONGEST_NAME
from prompt_objects.sessions.record import SessionInfo, head_of

__all__ = ["completed", "id_of", "info_of", "metadata_of", "told_by"]

_DERIVED = ("message_count", "prompt_tokens", "completion_tokens", "cached_tokens", "cost", "archived")


def id_of(path: Path) -> str:
    """Return the id that a file's name says."""
    return path.name.partition(".")[0]


def metadata_of(head: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata in a head; none where something else stands in its place."""
    metadata = head.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def info_of(path: Path, head: dict[str, Any], count: int, updated_at: str) -> SessionInfo | None:
    """Return what a head says, without sums; None where it is not a head of this file."""
    try:
        return told_by(path, head, count, updated_at)
    except ValueError:
        return None


def told_by(path: Path, head: dict[str, Any], count: int, updated_at: str) -> SessionInfo:
    """Return what a head says, without sums. Raises `ValueError` where it is not a head of this file."""
    known = {**head, "message_count": count, "updated_at": updated_at}
    known = {"created_at": updated_at} | {key: value for key, value in known.items() if value is not None}
    for derived in _DERIVED[1:]:
        known.pop(derived, None)
    try:
        info = msgspec.convert(known, SessionInfo)
        info = replace(info, created_at=info.created_at.astimezone(UTC))
        msgspec.json.encode(info)  # or it would spoil the index: half of a surrogate pair cannot be written there
    except (msgspec.ValidationError, OverflowError) as error:
        raise ValueError(str(error)) from error
    if info.id != id_of(path):
        raise ValueError(f"it says that it is {info.id!r:.60}")
    return info


def completed(path: Path, head: dict[str, Any], updated_at: str, known: SessionInfo | None) -> dict[str, Any]:
    """Return a head that says who this file is: as it is where it does, or else with what it says that is sound.

    What it does not say is what is `known` from elsewhere, or what can be guessed; the file's name tells the id.
    """
    if info_of(path, head, 0, updated_at):
        return head
    session_id = id_of(path)
    created_at = timestamp(_begun(session_id) or datetime.fromisoformat(updated_at))
    whole: dict[str, Any] = {
        "id": session_id,
        "name": f"Recovered {created_at[:16].replace('T', ' ')}",
        "po_name": "unknown",
        "created_at": created_at,
        "metadata": {},
    }
    if known:
        whole |= head_of(known, {})
    for key, value in head.items():
        if key != "id" and info_of(path, {**whole, key: value}, 0, updated_at):
            whole[key] = value
    return {**whole, "name": whole["name"][:LONGEST_NAME]}


def _begun(session_id: str) -> datetime | None:
    """Return the time in an id: the first 48 bits of a UUIDv7 are milliseconds."""
    digits = session_id.replace("-", "")
    if digits[12:13] != "7":
        return None
    return datetime.fromtimestamp(int(digits[:12], 16) / 1000, UTC)
