"""Sessions and messages that tests store."""

from typing import Any

from msgspec.structs import replace

from prompt_objects.message import Message
from prompt_objects.sessions.info import SessionInfo, new_id
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.utils.time import now


def user_messages(*contents: Any) -> list[Message]:
    return [{"role": "user", "content": content, "at": "2026-01-01T00:00:00.000000Z"} for content in contents]


def new_info(name: str | None = None, **changes: Any) -> SessionInfo:
    """Return the data of a new session; without `name`, its name is unique."""
    moment = now()
    info = SessionInfo(id=new_id(), name="", po_name="reader", message_count=0, created_at=moment, updated_at=moment)
    return replace(info, **{"name": name or f"Notes {info.id}", **changes})


def names(manager: SessionManager, **options: Any) -> list[str]:
    """Return the names of the sessions that a manager lists."""
    return [info.name for info in manager.list(**options)]
