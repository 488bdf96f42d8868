"""Markdown: a session for reading."""

import json
import re
from collections.abc import Iterator

from prompt_objects.message import Message, calls_of, live_messages, text_of
from prompt_objects.sessions.session import Session
from prompt_objects.utils.text import valid_unicode

SUFFIX = ".md"
_REMARKS = {"interrupted": "Interrupted", "grant": "Ran without approval", "read_at": "Sent during a reply, read at"}
_BACKTICKS = re.compile(r"`+")


def export(session: Session) -> str:
    """Return a title, a line about the session, and each message under its own heading."""
    text = "\n\n".join(_parts(session)) + "\n"
    return valid_unicode(text)


def _parts(session: Session) -> Iterator[str]:
    yield f"# {session.name}"
    count = f"{session.message_count} messages"
    yield f"Session `{session.id}` of {session.po_name} · {count} · started {session.created_at:%Y-%m-%d %H:%M} UTC"
    live = {id(message) for message in live_messages(session.history)}
    for message in session.history:
        yield from _message(message, replaced=id(message) not in live)


def _message(message: Message, *, replaced: bool) -> Iterator[str]:
    role = str(message.get("role", "")).title() + (" (replaced)" if replaced else "")
    at = str(message.get("at") or "").replace("T", " ")[:16]
    yield f"## {' · '.join(part for part in (role, at, str(message.get('model') or '')) if part)}"
    text = text_of(message)
    if message.get("role") == "tool":
        yield fenced(text)
    elif text:
        yield text
    for key, label in _REMARKS.items():
        if remark := message.get(key):
            yield f"*{label}: {remark}*"
    for call in calls_of(message):
        function = call.get("function")
        fields = function if isinstance(function, dict) else {}
        yield f"Calls **{fields.get('name', '')}**"
        yield fenced(_pretty(fields.get("arguments")), "json")


def _pretty(arguments: object) -> str:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return text


def fenced(text: str, language: str = "") -> str:
    """Return a code block whose fence is longer than any run of backticks in the text."""
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
