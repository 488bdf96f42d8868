"""The line at the bottom: where the person is."""

from prompt_toolkit.utils import get_cwidth

from prompt_objects.bus import Spent
from prompt_objects.chat import Chat
from prompt_objects.ui.drawing import cut
from prompt_objects.ui.sanitize import clean_line
from prompt_objects.wording import count

__all__ = ["facts", "fitted"]

_SEPARATOR = " · "
_KILO = 1000


def facts(chat: Chat, trouble: str = "") -> tuple[str, ...]:
    """Return object, session, what is wrong with it, who else is at it, and so on: the most telling first."""
    info = chat.session.info
    tokens = info.prompt_tokens + info.completion_tokens
    other = f"in use by {chat.holder.user}" if chat.holder else ""
    spent = _spent(chat.spent) if chat.spent else ()
    messages = count(info.message_count, "message")
    parts = (chat.po.name, info.name, trouble, other, messages, chat.model, _tokens(tokens), *spent)
    return tuple(clean_line(part) for part in parts if part)


def fitted(parts: tuple[str, ...], width: int) -> str:
    """Put the parts on one line of `width` cells, leaving out the last ones where there is no room."""
    while len(parts) > 1 and get_cwidth(_SEPARATOR.join(parts)) > width:
        parts = parts[:-1]
    return cut(_SEPARATOR.join(parts), width)


def _spent(spent: Spent) -> tuple[str, ...]:
    """Say what a message has taken of what it may; of what is not limited, only the cost is told."""
    amount, limits = spent.amount, spent.limits
    parts = [f"{amount.turns}/{limits.turns} requests"]
    if limits.tokens is not None:
        parts.append(f"{_short(amount.tokens)}/{_short(limits.tokens)} tokens")
    if limits.cost is not None:
        parts.append(f"${amount.cost:.2f}/${limits.cost:.2f}")
    elif amount.cost:
        parts.append(f"${amount.cost:.2f}")
    if limits.seconds is not None:
        parts.append(f"{spent.seconds:.0f}/{limits.seconds:g} s")
    return tuple(parts)


def _short(number: int) -> str:
    return str(number) if number < _KILO else f"{number / _KILO:.1f}k"


def _tokens(number: int) -> str:
    if number < _KILO:
        return count(number, "token") if number else ""
    return f"{_short(number)} tokens"
