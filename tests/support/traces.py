"""A team whose sessions have traces, and a readable form of traces."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from prompt_objects.llm.base import Completion, Request, TextChunk, Usage
from prompt_objects.runtime.events import Event, Notice
from prompt_objects.testing import ScriptedLLM, calls
from prompt_objects.trace.model import CallSpan, MessageEvent, NoticeEvent, Trace, TurnSpan

TEAM = {
    "boss": "name: boss\ncapabilities: [helper, scout, read_file]\nprompt: You are boss.\n",
    "helper": "name: helper\ncapabilities: [scout]\nprompt: You are helper.\n",
    "scout": "name: scout\ncapabilities: [list_files]\nprompt: You are scout.\n",
}
COST = 0.5


class Priced(ScriptedLLM):
    """The model of the team: each object calls its delegates, then replies; a response costs COST."""

    def __init__(self) -> None:
        super().__init__([_play] * 100)

    async def stream(self, request: Request) -> AsyncGenerator[TextChunk | Completion, None]:
        async for part in super().stream(request):
            if isinstance(part, Completion):
                yield replace(part, usage=Usage(100, 10, 40, COST))
            else:
                yield part


def _play(request: Request) -> Any:
    me, last = request.messages[0]["content"], request.messages[-1]
    if last["role"] == "tool":
        return f"{me} Done."
    if me == "You are boss.":
        return calls(("helper", {"message": "H"}), ("scout", {"message": "S"}), ("read_file", {"path": "none"}))
    if me == "You are helper.":
        return calls(("scout", {"message": "HS"}))
    return calls(("list_files", {"path": "."}))


def outline(turns: Sequence[TurnSpan]) -> list[Any]:
    """Convert turns to lists: the prompt object, texts of messages, and calls with the turns that they started."""
    return [[turn.session.po_name, *map(_step, turn.steps)] for turn in turns]


def _step(step: MessageEvent | CallSpan | NoticeEvent) -> Any:
    if isinstance(step, CallSpan):
        return (step.name, step.outcome, *outline(step.turns))
    return step.text


def all_turns(trace: Trace) -> Iterator[TurnSpan]:
    """Yield the turns of a trace, including delegations."""
    waiting = list(trace.turns)
    while waiting:
        turn = waiting.pop()
        yield turn
        waiting += [below for call in turn.calls for below in call.turns]


def notice(session_id: str, text: str = "!", **more: Any) -> Event:
    """Make an event of a session."""
    return Notice(run="r", root="r", path=("po",), session_id=session_id, text=text, **more)
