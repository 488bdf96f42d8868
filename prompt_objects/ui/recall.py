"""Where a session was left: its last exchange, as a reminder."""

from collections.abc import Sequence
from functools import partial

from prompt_objects.chat import Chat
from prompt_objects.errors import PromptObjectsError
from prompt_objects.message import Message, live_messages
from prompt_objects.sessions.session import Session
from prompt_objects.ui import drawing
from prompt_objects.ui.beside import beside
from prompt_objects.ui.messages import drawn
from prompt_objects.ui.scrollback import Scrollback
from prompt_objects.ui.sentences import INTERRUPTED
from prompt_objects.ui.style import Line

__all__ = ["last_exchange", "recalled", "remind"]

LOOKED_BACK = 40
"""Messages among which the last exchange is looked for."""
RECALLED_LINES = 12


async def remind(chat: Chat, scrollback: Scrollback) -> None:
    """Show where the current session was left, unless it has gone on meanwhile."""
    session = chat.session
    known = session.message_count
    lines = await beside(partial(recalled, chat.po.name, session, scrollback.width))
    is_idle = not chat.is_pending_here and not chat.turns()
    if lines and chat.session is session and session.message_count == known and is_idle:
        scrollback.print([[], *lines])
        if await beside(chat.is_interrupted):
            scrollback.note(INTERRUPTED)


def recalled(po_name: str, session: Session, width: int) -> list[Line]:
    """Draw the last exchange of a session; where that cannot be done, why not."""
    try:
        messages = session.tail(LOOKED_BACK)
        live = live_messages(messages, first=session.message_count - len(messages))
        return last_exchange(po_name, live, width)
    except PromptObjectsError as error:
        return drawing.error(str(error), error.hint, width)
    except Exception as error:  # noqa: BLE001 - drawn at each start, so a defect here would shut the session for good
        return drawing.sentence(f"The last exchange cannot be shown: {error!r}", width, "class:hint")


def last_exchange(po_name: str, messages: Sequence[Message], width: int) -> list[Line]:
    """Draw what was last asked and answered, the answer's end where it is long."""
    asked = [index for index, message in enumerate(messages) if message.get("role") == "user"]
    lines = drawn(po_name, messages[asked[-1] if asked else 0 :], width, most_lines=RECALLED_LINES)
    return lines[1:] if lines[:1] == [[]] else lines
