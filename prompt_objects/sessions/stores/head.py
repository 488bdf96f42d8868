"""The head of a session file: who it is, and what is made of one that does not say it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from prompt_objects.message import timestamp
from prompt_objects.sessions.names import LONGEST_NAME, recovered_name
from prompt_objects.sessions.record import DERIVED, SessionInfo, head_of, made_at

__all__ = ["completed", "id_of", "info_of", "metadata_of", "told_by"]


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
    said = {key: value for key, value in head.items() if key not in DERIVED and value is not None}
    known = {"created_at": updated_at, **said, "message_count": count, "updated_at": updated_at}
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
    begun = made_at(session_id) or datetime.fromisoformat(updated_at)
    whole: dict[str, Any] = {
        "id": session_id,
        "name": recovered_name(begun),
        "po_name": "unknown",
        "created_at": timestamp(begun),
        "metadata": {},
    }
    if known:
        whole |= head_of(known, {})
    for key, value in head.items():
        if key != "id" and info_of(path, {**whole, key: value}, 0, updated_at):
            whole[key] = value
    return {**whole, "name": whole["name"][:LONGEST_NAME]}
