"""Messages of histories, plausible and not."""

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from prompt_objects.llm.base import Adaptations
from prompt_objects.llm.chat_api.adapt import adapt
from prompt_objects.llm.chat_api.assemble import assemble
from prompt_objects.message import Message


def sent_messages(
    prompt: str, history: Iterable[Message], *, server: str = "", without: tuple[int, int] | None = None
) -> list[Message]:
    """Return the messages of a request to a server about which nothing is known yet."""
    messages: list[Message] = adapt(assemble(prompt, history, without=without), Adaptations(server))["messages"]
    return messages


def call(call_id: str, name: str = "read_file", arguments: object = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
