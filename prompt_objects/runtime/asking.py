"""Asks the user for approvals and answers, and records both in the session before anything else happens."""

import json
import time
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from prompt_objects.runtime.context import Context
from prompt_objects.runtime.interaction import (
    ApprovalRequest,
    Decision,
    EditedArguments,
    InputRequest,
    InteractionHandler,
)

if TYPE_CHECKING:
    from prompt_objects.message import Message

_DECISIONS = {
    "once": "approved {tool}",
    "session": "approved {tool} for this session",
    "edited": "approved {tool} with other arguments",
    "no": "refused {tool}",
    "never": "refused {tool} for this session",
}


async def ask_for_approval(handler: InteractionHandler, request: ApprovalRequest, context: Context) -> Decision:
    """Return the user's decision on a call. Raises `StoreError` if it cannot be recorded."""
    start = time.monotonic()
    decision = await handler.approve(request)
    seconds = time.monotonic() - start
    if decision == "session" and not request.for_session:
        decision = "once"
    name = "edited" if isinstance(decision, EditedArguments) else decision
    record: Message = {
        "role": "approval",
        "content": f"The user {_DECISIONS[name].format(tool=request.tool)} after {seconds:.0f} s.",
        "decision": name,
    }
    if isinstance(decision, EditedArguments):
        record["edited"] = decision.arguments
    shown = {"arguments": dict(request.arguments), "diff": request.diff, "remarks": list(request.remarks)}
    await _save(record, shown, seconds, context)
    return decision


async def ask_question(handler: InteractionHandler, question: str, choices: Sequence[str], context: Context) -> str:
    """Return the user's answer, empty if there is none. Raises `StoreError` if it cannot be recorded."""
    start = time.monotonic()
    request = InputRequest(
        path=context.path, session_id=context.session_id or "", question=question, choices=tuple(choices)
    )
    answer = request.resolve(await handler.ask(request) or "")
    seconds = time.monotonic() - start
    reply = f"The user answered: {answer}" if answer else "The user did not answer."
    record: Message = {"role": "question", "content": f"{question}\n{reply}", "answer": answer or None}
    await _save(record, {"question": question, "choices": list(choices)}, seconds, context)
    return answer


async def _save(record: "Message", shown: dict[str, Any], seconds: float, context: Context) -> None:
    """Save a record with its call, what was shown, and how long the user took; outside a turn there is no session."""
    if context.save is None or context.session is None:
        return
    digest = sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()
    await context.save(
        {
            **record,
            "call": context.call_id,
            "tool": context.call_name,
            "path": list(context.path),
            "shown": {"sha256": digest, **shown},
            "by": context.session.user_id or "user",
            "seconds": round(seconds, 3),
        }
    )
