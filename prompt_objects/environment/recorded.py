"""The recorded state of a session: what has changed since its last answer, and continuing with what was recorded."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from prompt_objects.config.definition import Definition, ModelChoice
from prompt_objects.config.yaml.document import TOP
from prompt_objects.errors import Damaged, NotFound
from prompt_objects.llm.chat_api.adapt import encode
from prompt_objects.message import role_of
from prompt_objects.sessions.request_diff import changed_prompt_line, tool_change, tools_by_name
from prompt_objects.sessions.requests import Frame, parse_frame, record_of
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import Store

_CHECKED_MESSAGES = 100  # at the end of a session; without an answer in them, nothing is compared


def last_frame(session: Session, store: Store) -> Frame | None:
    """Return the frame of the last answer that a turn ended with or called tools in; None if it is not known."""
    for message in reversed(session.tail(_CHECKED_MESSAGES)):
        if role_of(message) != "assistant" or "request" not in message:
            continue
        with suppress(NotFound, Damaged):
            record = record_of(message)
            if record.final is None:  # the last request at a limit has no tools
                return parse_frame(store.frames.get(record.frame))
    return None


def changes_since(
    frame: Frame, definition: Definition, functions: Mapping[str, Any], servers: Iterable[str], model: str
) -> list[str]:
    """Describe how the next request of a session will differ from its frame.

    `functions` are the local tools by name. Those of MCP `servers` are not compared, since that would start the
    servers. `model` is empty if it is not known yet.
    """
    found = []
    if line := changed_prompt_line(frame.prompt, definition.prompt):
        found.append(f"the prompt changed at line {line}")
    prefixes = tuple(f"{server}_" for server in servers)
    now = json.loads(encode({**functions}))  # as they would be in a frame
    before = tools_by_name(frame.tools)
    local = {name: tool for name, tool in before.items() if name in now or not name.startswith(prefixes)}
    if change := tool_change(local, now):
        found.append(change)
    if model and model != frame.model:
        found.append(f"the model changed from {frame.model} to {model}")
    if not found and definition.digest != frame.definition.sha256:
        found.append("the definition changed, but not its prompt, tools or model")
    return found


def change_notice(changes: list[str], *, is_pinned: bool) -> str:
    """Return the sentence about changes for the user; empty if there are none."""
    if not changes:
        return ""
    keeps = "It keeps" if is_pinned else "--pin keeps"
    return f"Since the last answer in this session, {', and '.join(changes)}. {keeps} the recorded prompt and model."


def pinned(definition: Definition, frame: Frame, model: str | None) -> Definition:
    """Return a definition with the prompt and settings of a frame, and the model of this name without fallbacks."""
    at = definition.model.at if definition.model else TOP
    choice = ModelChoice(use=model, temperature=frame.options.get("temperature"), at=at)
    return replace(definition, prompt=frame.prompt, model=choice)
