"""Chunks of a streamed response, as model servers send them."""

from typing import Any


def delta(finish_reason: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def piece(index: int | None = None, call_id: str | None = None, **function: Any) -> dict[str, Any]:
    """Build a chunk with a part of one call."""
    call: dict[str, Any] = {"function": function}
    if index is not None:
        call["index"] = index
    if call_id is not None:
        call["id"] = call_id
    return delta(tool_calls=[call])


def complete_call(name: str) -> dict[str, Any]:
    return {"id": "call_0", "function": {"name": name, "arguments": "{}"}}
