"""Sessions made of what another one holds."""

from collections.abc import Sequence

from msgspec.structs import replace

from prompt_objects.message import Message
from prompt_objects.sessions.names import extended
from prompt_objects.sessions.record import Record
from prompt_objects.sessions.stores import Store
from prompt_objects.wording import count

__all__ = ["put_by"]


def put_by(store: Store, record: Record, messages: Sequence[Message], *, copy_id: str, kept: int) -> Record:
    """Put a copy of a session into the trash, as it is before all but its first `kept` messages are dropped."""
    name = extended(record.info.name, f"(before it was cut to {count(kept, 'message')})")
    info = replace(record.info, id=copy_id, name=name, parent=None)
    copy = store.create(info, {**record.metadata, "copy_of": record.info.id}, messages, numbered=True)
    store.delete(copy_id)
    return copy
