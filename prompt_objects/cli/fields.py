"""What `--json` prints: these keys are documented and stay, whatever becomes of the structs behind them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prompt_objects.message import timestamp

if TYPE_CHECKING:
    from prompt_objects.prompt_object import PromptObject
    from prompt_objects.sessions.record import SessionInfo, Trashed
    from prompt_objects.turn import Reply

__all__ = ["MEANINGS", "object_fields", "reply_fields", "session_fields", "trashed_fields"]

# For docs/commands.md: by what is printed, each key with its type and meaning.
MEANINGS: Mapping[str, Mapping[str, str]] = {
    "An answer (`-p --json`)": {
        "object": "text: the prompt object that answered",
        "session": "object: `id` and `name` of the session",
        "model": "text: the model that answered",
        "text": "text: the answer",
        "usage": "object: `prompt_tokens`, `completion_tokens`, `cached_tokens`; numbers, of this answer",
    },
    "A session (`sessions … --json`)": {
        "id": "text: a UUID that stays the same for ever",
        "name": "text: unique among the sessions of its prompt object",
        "po_name": "text: its prompt object",
        "message_count": "number",
        "created_at": "text: ISO 8601, UTC",
        "updated_at": "text: ISO 8601, UTC; when the last message came",
        "user_id": "text or null: whose it is, where an environment has several users",
        "parent": "object or null: `session` and `call` that started it, where a prompt object did",
        "tags": "list of texts",
        "prompt_tokens": "number: the sum over its messages",
        "completion_tokens": "number: the sum over its messages",
        "cached_tokens": "number: the sum over its messages",
        "cost": "number or null: US dollars; null where nothing is known of prices",
    },
    "A session in the trash (`sessions list --trash --json`), besides": {
        "deleted_at": "text: ISO 8601, UTC",
    },
    "A prompt object (`objects list --json`)": {
        "name": "text",
        "description": "text, may be empty; null where it is faulty",
        "model": "text or null: the model that it asks for; null for the environment's default",
        "capabilities": "list of names; null where it is faulty",
        "file": "text: the path of its definition",
        "fault": "text or null: what is wrong with its definition",
    },
    "A prompt object by itself (`objects show --json`), besides": {
        "prompt": "text: what the model is told",
    },
}


def session_fields(info: "SessionInfo") -> dict[str, object]:
    """Build what is printed of a session."""
    parent = info.parent
    return {
        "id": info.id,
        "name": info.name,
        "po_name": info.po_name,
        "message_count": info.message_count,
        "created_at": timestamp(info.created_at),
        "updated_at": timestamp(info.updated_at),
        "user_id": info.user_id,
        "parent": {"session": parent.session, "call": parent.call} if parent else None,
        "tags": list(info.tags),
        "prompt_tokens": info.prompt_tokens,
        "completion_tokens": info.completion_tokens,
        "cached_tokens": info.cached_tokens,
        "cost": info.cost,
    }


def trashed_fields(trashed: "Trashed") -> dict[str, object]:
    """Build what is printed of a session in the trash."""
    return {**session_fields(trashed.info), "deleted_at": timestamp(trashed.deleted_at)}


def object_fields(po: "PromptObject") -> dict[str, object]:
    """Build what is printed of a prompt object, sound or faulty."""
    if fault := po.fault:
        return {
            "name": po.name,
            "description": None,
            "model": None,
            "capabilities": None,
            "file": str(fault.file),
            "fault": str(fault),
        }
    definition = po.definition
    return {
        "name": po.name,
        "description": definition.description,
        "model": definition.model.use if definition.model else None,
        "capabilities": [capability.name for capability in definition.capabilities],
        "file": str(definition.file),
        "fault": None,
    }


def reply_fields(reply: "Reply", po_name: str) -> dict[str, object]:
    """Build what is printed of an answer."""
    return {
        "object": po_name,
        "session": {"id": reply.session.id, "name": reply.session.name},
        "model": reply.model,
        "text": reply.text,
        "usage": {
            "prompt_tokens": reply.usage.prompt,
            "completion_tokens": reply.usage.completion,
            "cached_tokens": reply.usage.cached,
        },
    }
