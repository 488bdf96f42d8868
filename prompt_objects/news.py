"""News of a turn: what happens in it, put on the bus with whose turn it is."""

from typing import Any

from prompt_objects.bus import Event, Notice
from prompt_objects.context import Context

__all__ = ["notice", "publish"]


def publish(context: Context, kind: type[Event], **details: Any) -> None:
    """Tell what happened in the turn whose context it is: an event of that kind, with its details."""
    event = kind(
        run=context.run,
        root=context.root,
        parent=context.parent,
        path=context.path,
        session_id=context.session_id or "",
        **details,
    )
    context.bus.publish(event)


def notice(context: Context, text: str) -> None:
    """Tell the person something."""
    publish(context, Notice, text=text)
