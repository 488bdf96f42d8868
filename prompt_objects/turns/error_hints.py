"""Hints for errors of models: how to go on with a session that a model cannot read."""

import re
from collections.abc import Callable, Sequence

from prompt_objects.errors import ContextTooLong, LLMError
from prompt_objects.llm.chat_api.server_errors import message_index
from prompt_objects.message import Message, role_of, text_of
from prompt_objects.utils.text import pluralize

_MAX_QUOTED = 40
_ABOUT_MESSAGES = re.compile(r"(?i)message|content|conversation|\brole|tool_call|function.?call|assistant")


def add_hint(
    error: LLMError, history: Sequence[Message], request_of: Callable[[Sequence[Message]], Sequence[Message]]
) -> None:
    """Add to the hint of an error how to go on with the session, if its messages are the cause.

    `request_of` returns the messages of a request for a part of the history.
    """
    if isinstance(error, ContextTooLong):
        _add_commands(error, _fitting_count(history))
    elif type(error) is LLMError:
        _name_refused_message(error, history, request_of)


def _name_refused_message(
    error: LLMError, history: Sequence[Message], request_of: Callable[[Sequence[Message]], Sequence[Message]]
) -> None:
    index = message_index(error)
    number = None if index is None else _history_number(index, history, request_of)
    if number is not None:
        message = history[number]
        printable = (char if char.isprintable() else " " for char in text_of(message)[: 10 * _MAX_QUOTED])
        quoted = " ".join("".join(printable).split())[:_MAX_QUOTED]
        error.hint = f'It is message {number + 1} of the session ({role_of(message)}: "{quoted}").'
        _add_commands(error, number)
    elif _ABOUT_MESSAGES.search(str(error)):  # what was answered before is not the cause
        answered = [count for count in range(1, len(history)) if _is_reply(history, count - 1)]
        _add_commands(error, answered[-1] if answered else 0)


def _add_commands(error: LLMError, count: int) -> None:
    """Add the commands that keep the first `count` messages."""
    if count:
        kept = f"the first {pluralize(count, 'message')}"
        commands = (
            f"In the chat, /session branch {count} continues in a copy with {kept}, and "
            f"/session truncate {count} keeps only these in the session (/undo restores the others)."
        )
        error.hint = " ".join(filter(None, [error.hint, commands]))


def _fitting_count(history: Sequence[Message]) -> int:
    """Return how many messages to keep, so that about half of the context is free and the last one is a reply."""
    sizes = [
        (number + 1, _prompt_tokens(message)) for number, message in enumerate(history) if _is_reply(history, number)
    ]
    largest = max((size for _, size in sizes), default=0)
    fitting = [count for count, size in sizes if largest and 0 < size <= largest / 2]
    counts = [count for count, _ in sizes]
    return fitting[-1] if fitting else counts[len(counts) // 2 - 1] if len(counts) > 1 else 0


def _is_reply(history: Sequence[Message], number: int) -> bool:
    """Return whether a message is the last one before a message of the user."""
    follows = number + 1 < len(history) and role_of(history[number + 1]) == "user"
    return role_of(history[number]) == "assistant" and follows


def _prompt_tokens(message: Message) -> int:
    usage = message.get("usage")
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return tokens if isinstance(tokens, int) else 0


def _history_number(
    index: int, history: Sequence[Message], request_of: Callable[[Sequence[Message]], Sequence[Message]]
) -> int | None:
    """Return the number of the message that a message of the request was made from, None if there is none."""
    low, high = 0, len(history)
    if len(request_of(history)) <= index:
        return None
    while low < high:  # the first part of the history whose request contains the message
        middle = (low + high) // 2
        if len(request_of(history[:middle])) > index:
            high = middle
        else:
            low = middle + 1
    return low - 1 if low else None
