"""Injects a fault into the n-th disk operation of a turn, for every n.

    faulty_turns.py FOLDER FAULT…

Each time, a forked child runs a turn (a message, a call, its result, a reply) and reports every saved message; then
it runs another turn without faults. A fault is written in words, such as "ENOSPC lasting".
"""

import sys

from prompt_objects.sessions.stores.base import Checking
from tests.support.campaign.faults import Fault, arm, disarm  # before any module that keeps a function of `os`

import asyncio  # isort: skip
import json
import os
import shutil
from pathlib import Path
from typing import Any

from prompt_objects.environment.environment import Environment
from prompt_objects.errors import StoreError
from prompt_objects.message import Message
from prompt_objects.runtime.events import MessageSaved
from prompt_objects.sessions.requests import answer_indexes
from prompt_objects.sessions.session import Session
from prompt_objects.testing import ScriptedLLM, calls
from tests.support.campaign.processes import in_child, outcome_of
from tests.support.messages import sent_messages
from tests.support.strict_protocol import request_violations

_FAULTLESS = 4  # the exit code of a child whose turn had fewer disk operations


async def turns(folder: Path, session_id: str, telling: int, fault: Fault, at: int) -> int:
    """Run a turn with a fault and one without, and report the saved messages."""
    llm = ScriptedLLM([calls(("list_files", {})), "an answer", "another answer", "another answer"])
    async with Environment.open(folder, llm=llm, environ={}) as env:
        session = env["scout"].session_manager.get(session_id)
        arm(fault, at)
        try:
            await turn(env, session, telling, "a question")
        except StoreError as error:
            if not error.hint:
                raise  # every error needs a hint
        asked = disarm()
        session.refresh()
        await turn(env, session, telling, "go on")
    return 0 if asked >= at else _FAULTLESS


async def turn(env: Environment, session: Session, telling: int, question: str) -> None:
    """Run a turn and report each message when it is saved."""
    async for event in env["scout"].stream(question, env.context(), session):
        if isinstance(event, MessageSaved):
            os.write(telling, json.dumps(event.message).encode() + b"\n")


def one(folder: Path, fault: Fault, at: int) -> bool:
    """Inject one fault in a turn of a child and check the remaining data; return False if no fault happened."""
    shutil.rmtree(folder / ".prompt_objects" / "frames", ignore_errors=True)  # so that each turn writes its frame
    with Environment.open(folder, environ={}) as env:
        session = env["scout"].session_manager.create()
        session.append({"role": "user", "content": "before"}, {"role": "assistant", "content": "before"})
    output, code = outcome_of(in_child(lambda telling: asyncio.run(turns(folder, session.id, telling, fault, at))))
    assert code in (0, _FAULTLESS) or (not fault.error and code < 0), f"{fault} at {at}: exit code {code}"
    with Environment.open(folder, environ={}) as env:
        check(env["scout"].session_manager.get(session.id), [json.loads(line) for line in output.splitlines()])
    return code != _FAULTLESS


def check(session: Session, saved: list[Message]) -> None:
    """Check that acknowledged messages are there once and in order, and at most one other message, complete.

    The request for each answer can be shown, with its frame.
    """
    history = [_without_time(message) for message in session.history]
    assert [message["content"] for message in history[:2]] == ["before", "before"]
    new = history[2:]
    saved = [_without_time(message) for message in saved]
    assert [message for message in new if message in saved] == saved, (new, saved)
    assert len(new) <= len(saved) + 1, (new, saved)
    for number in range(2, len(answer_indexes(session.history)) + 1):  # the first was not requested
        assert session.request(number).is_exact
    assert request_violations(sent_messages("prompt", session.history)) == []


def _without_time(message: Message) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != "at"}


def main() -> None:
    """Inject each fault at every operation of a turn, then run the doctor; print the totals."""
    folder = Path(sys.argv[1])
    for words in sys.argv[2:]:
        at = 1
        while one(folder, Fault.named(words), at):
            at += 1
        with Environment.open(folder, environ={}) as env:
            assert isinstance(env.storage.store, Checking)
            env.storage.store.check(repair=True)
            assert env.storage.store.check() == []
        print(f"{words}: at each of {at - 1} places in a turn; nothing lost.", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
