"""The line at the bottom: where the person is."""

from prompt_toolkit.utils import get_cwidth

from prompt_objects.chat import Chat
from prompt_objects.ui.drawing import cut
from prompt_objects.ui.sanitize import clean_line
from prompt_objects.wording import count

__all__ = ["facts", "fitted"]

_SEPARATOR = " · "
_KILO = 1000


def facts(chat: Chat) -> tuple[str, ...]:
    """Return object, session, who else is at it, messages, model and tokens, the most telling first."""
    info = chat.session.info
    tokens = info.prompt_tokens + info.completion_tokens
    other = f"in use by {chat.holder.user}" if chat.holder else ""
    parts = (chat.po.name, info.name, other, count(info.message_count, "message"), chat.model, _tokens(tokens))
    return tuple(clean_line(part) for part in parts if part)


def fitted(parts: tuple[str, ...], width: int) -> str:
    """Put the parts on one line of `width` cells, leaving out the last ones where there is no room."""
    while len(parts) > 1 and get_cwidth(_SEPARATOR.join(parts)) > width:
        parts = parts[:-1]
    return cut(_SEPARATOR.join(parts), width)


def _tokens(number: int) -> str:
    if number < _KILO:
        return count(number, "token") if number else ""
    return f"{number / _KILO:.1f}k tokens"
