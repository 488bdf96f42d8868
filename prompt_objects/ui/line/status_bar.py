"""The status bar: object, session, model, tokens, cost."""

from collections.abc import Callable

from prompt_toolkit.utils import get_cwidth

from prompt_objects.chat.chat import Chat
from prompt_objects.runtime.events import BudgetUpdated
from prompt_objects.ui.line.layout import screen_size
from prompt_objects.ui.render.sanitize import clean_line
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.render.text import fit
from prompt_objects.utils.text import pluralize

__all__ = [
    "StatusBar",
    "fitted",
    "status_items",
]

_SEPARATOR = " · "
_KILO = 1000


def status_items(chat: Chat, trouble: str = "") -> tuple[str, ...]:
    """Return object, session, what is wrong with it, who else is at it, and so on: the most telling first."""
    info = chat.session.info
    tokens = info.prompt_tokens + info.completion_tokens
    other = f"in use by {chat.holder.user}" if chat.holder else ""
    spent = _spent(chat.spent) if chat.spent else ()
    messages = pluralize(info.message_count, "message")
    parts = (chat.po.name, info.name, trouble, other, messages, chat.model, _tokens(tokens), *spent)
    return tuple(clean_line(part) for part in parts if part)


def fitted(parts: tuple[str, ...], width: int) -> str:
    """Put the parts on one line of `width` cells, leaving out the last ones where there is no room."""
    while len(parts) > 1 and get_cwidth(_SEPARATOR.join(parts)) > width:
        parts = parts[:-1]
    return fit(_SEPARATOR.join(parts), width)


def _spent(spent: BudgetUpdated) -> tuple[str, ...]:
    """Say what a message has taken of what it may; of what is not limited, only the cost is told."""
    amount, limits = spent.amount, spent.limits
    parts = [f"{amount.requests}/{limits.requests} requests"]
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
        return pluralize(number, "token") if number else ""
    return f"{_short(number)} tokens"


class StatusBar:
    """The facts of a conversation as they were last looked at, and the hint that stands in their place, if any."""

    def __init__(self, chat: Chat, redraw: Callable[[], None]) -> None:
        self._chat = chat
        self._redraw = redraw
        self._hint = ""
        self._trouble = ""
        self._facts = status_items(chat)

    def line(self) -> Line:
        """Draw it."""
        columns, _ = screen_size()
        if self._hint:
            return [("class:toolbar.hint", fit(self._hint, columns))]
        return [("", fitted(self._facts, columns))]

    def say(self, hint: str) -> None:
        """Give a hint, until there is another one; an empty one makes room for the facts."""
        self._hint = hint
        self._redraw()

    def refresh(self, trouble: str | None = None) -> None:
        """Say what is so now; `trouble` is what is wrong with the session, None where that is as it was."""
        self._trouble = self._trouble if trouble is None else trouble
        before, self._facts = self._facts, status_items(self._chat, self._trouble)
        if self._facts != before:
            self._redraw()
