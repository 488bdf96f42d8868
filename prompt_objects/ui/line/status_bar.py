"""The status bar: object, session, model, tokens, cost."""

from collections.abc import Callable
from contextlib import suppress

from prompt_toolkit.utils import get_cwidth

from prompt_objects.chat.chat import Chat
from prompt_objects.errors import PromptObjectsError
from prompt_objects.runtime.events import BudgetUpdated
from prompt_objects.ui.line.layout import screen_size
from prompt_objects.ui.render.sanitize import clean_line
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.render.text import fit
from prompt_objects.utils.text import pluralize

_SEPARATOR = " · "
_KILO = 1000


def status_items(chat: Chat, problem: str = "") -> tuple[str, ...]:
    """Return the facts about a conversation, the most important first."""
    info = chat.session.info
    holder = f"in use by {chat.holder.user}" if chat.holder else ""
    spending = _spending(chat.spent) if chat.spent else ()
    messages = pluralize(info.message_count, "message")
    tokens = _tokens(info.prompt_tokens + info.completion_tokens)
    items = (chat.po.name, info.name, problem, holder, messages, _model(chat), tokens, *spending)
    return tuple(clean_line(item) for item in items if item)


def _model(chat: Chat) -> str:
    """Return the name of the model that would answer; empty if it is not known yet."""
    models = chat.environment.models
    with suppress(PromptObjectsError):  # the next message shows the error
        if models.connections:  # otherwise the definition need not be read
            return models.connected_model(chat.po.definition)
    return ""


def fit_items(items: tuple[str, ...], width: int) -> str:
    """Join the items on one line of `width` cells, without the last ones if there is no room for them."""
    while len(items) > 1 and get_cwidth(_SEPARATOR.join(items)) > width:
        items = items[:-1]
    return fit(_SEPARATOR.join(items), width)


def _spending(spent: BudgetUpdated) -> tuple[str, ...]:
    """Return what the last message has used of each limit; without a limit, only requests and cost."""
    amount, limits = spent.amount, spent.limits
    items = [f"{amount.requests}/{limits.requests} requests"]
    if limits.tokens is not None:
        items.append(f"{_short(amount.tokens)}/{_short(limits.tokens)} tokens")
    if limits.cost is not None:
        items.append(f"${amount.cost:.2f}/${limits.cost:.2f}")
    elif amount.cost:
        items.append(f"${amount.cost:.2f}")
    if limits.seconds is not None:
        items.append(f"{spent.seconds:.0f}/{limits.seconds:g} s")
    return tuple(items)


def _short(number: int) -> str:
    return str(number) if number < _KILO else f"{number / _KILO:.1f}k"


def _tokens(number: int) -> str:
    if number < _KILO:
        return pluralize(number, "token") if number else ""
    return f"{_short(number)} tokens"


class StatusBar:
    """The facts about the conversation as of the last `refresh`, or a hint in their place."""

    def __init__(self, chat: Chat, redraw: Callable[[], None]) -> None:
        self._chat = chat
        self._redraw = redraw
        self._hint = ""
        self._problem = ""
        self._items = status_items(chat)

    def line(self) -> Line:
        columns, _ = screen_size()
        if self._hint:
            return [("class:toolbar.hint", fit(self._hint, columns))]
        return [("", fit_items(self._items, columns))]

    def set_hint(self, hint: str) -> None:
        """Show a hint until the next one; an empty hint shows the facts again."""
        self._hint = hint
        self._redraw()

    def refresh(self, problem: str | None = None) -> None:
        """Update the facts; `problem` is what is wrong with the session, None if that has not changed."""
        self._problem = self._problem if problem is None else problem
        before, self._items = self._items, status_items(self._chat, self._problem)
        if self._items != before:
            self._redraw()
