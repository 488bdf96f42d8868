"""Sessions made of what another one holds."""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from prompt_objects.errors import NameTaken
from prompt_objects.message import Message
from prompt_objects.sessions.names import extended
from prompt_objects.sessions.record import Record, SessionInfo
from prompt_objects.sessions.stores import Store
from prompt_objects.wording import count

__all__ = ["create_numbered", "put_by"]


def create_numbered(
    store: Store, info: SessionInfo, metadata: dict[str, Any], messages: Iterable[Message] = ()
) -> Record:
    """Begin a session; where its name is taken it gets a number."""
    history = list(messages)
    info = replace(info, archived=False)
    while True:
        try:
            return store.create(info, metadata, history)
        except NameTaken as error:
            info = replace(info, name=error.suggestion)


def put_by(store: Store, record: Record, messages: Sequence[Message], *, copy_id: str, kept: int) -> Record:
    """Put a copy of a session into the trash, as it is before all but its first `kept` messages are dropped."""
    name = extended(record.info.name, f"(before it was cut to {count(kept, 'message')})")
    info = replace(record.info, id=copy_id, name=name, parent=None)
    copy = create_numbered(store, info, {**record.metadata, "copy_of": record.info.id}, messages)
    store.delete(copy_id)
    return copy
