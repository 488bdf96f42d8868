"""A session has one turn at a time, in all processes; others can wait, branch or follow."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.errors import Busy, LLMError
from prompt_objects.llm.base import Request
from prompt_objects.message import Message
from prompt_objects.runtime.events import ExternalMessages, MessageSaved
from prompt_objects.runtime.session_lock import SessionLocks
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.lease import ProcessInfo, lease_holder, take_lease
from prompt_objects.sessions.watch import follow
from prompt_objects.testing import Scripted, ScriptedLLM, calls
from prompt_objects.tools import delegation
from tests.support.environments import open_env
from tests.support.other_process import Elsewhere

HOUSE = {
    "asker": "name: asker\ncapabilities: [{po: scout, context: continue}]\nprompt: Ask.\n",
    "scout": "name: scout\nprompt: Look.\n",
}


@pytest.fixture
def llm() -> ScriptedLLM:
    return ScriptedLLM([])


@pytest.fixture
async def env(tmp_path: Path, llm: ScriptedLLM) -> AsyncIterator[Environment]:
    async with open_env(tmp_path, llm, HOUSE) as env:
        yield env


@pytest.fixture
def session(env: Environment) -> Session:
    return env["scout"].session_manager.create("Notes")


def script(llm: ScriptedLLM, *replies: Scripted) -> None:
    llm._replies.extend(replies)


def elsewhere(env: Environment, session: Session) -> Elsewhere:
    return Elsewhere(env.folder, session.id)


def texts(session: Session) -> list[str]:
    session.refresh()
    return [message["content"] for message in session.history]


async def test_busy_session_names_its_holder_and_nothing_is_written(env: Environment, session: Session) -> None:
    with elsewhere(env, session) as other:
        with pytest.raises(
            Busy, match=rf'"Notes" is in use by .+ \(process {other.pid} on .+, since \d\d:\d\d:'
        ) as caught:
            await env["scout"].receive("Me too", session=session)
        assert (caught.value.holder.pid, caught.value.exit_code) == (other.pid, 75)
        assert texts(session) == ["From elsewhere"]
        other.answer("An answer")
    assert texts(session) == ["From elsewhere", "An answer"]


async def test_session_in_use_cannot_be_purged(env: Environment, session: Session) -> None:
    manager = env["scout"].session_manager
    with elsewhere(env, session) as other:
        manager.delete(session.id)
        for key in (session.id, None):
            with pytest.raises(Busy, match=rf"Notes cannot be purged: it is in use by .+ \(process {other.pid} on"):
                manager.purge(key)
        assert [entry.info.id for entry in manager.trash()] == [session.id]
    assert [info.id for info in manager.purge(session.id)] == [session.id]


async def test_waiting_turn_sees_the_messages_of_the_one_before(
    env: Environment, session: Session, llm: ScriptedLLM
) -> None:
    script(llm, "Mine")
    with elsewhere(env, session) as other:
        turn = asyncio.create_task(env["scout"].receive("Me too", session=session, wait=None))
        await asyncio.sleep(0.2)
        assert texts(env.session_manager.get(session.id)) == ["From elsewhere"]
        other.answer("An answer")
        assert (await turn).text == "Mine"
    assert texts(session) == ["From elsewhere", "An answer", "Me too", "Mine"]


async def test_waiting_ends_after_the_given_time(env: Environment, session: Session) -> None:
    with elsewhere(env, session):
        start = time.monotonic()
        with pytest.raises(Busy):
            await env["scout"].receive("Me too", session=session, wait=0.2)
        assert 0.2 <= time.monotonic() - start < 2


async def test_cancelled_wait_writes_nothing_and_holds_no_lease(env: Environment, session: Session) -> None:
    with elsewhere(env, session) as other:
        turn = asyncio.create_task(env["scout"].receive("Me too", session=session, wait=None))
        await asyncio.sleep(0.1)
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        other.answer("An answer")
    assert texts(session) == ["From elsewhere", "An answer"]
    assert lease_holder(env.storage.store, session.id) is None


async def test_killed_holder_releases_the_session(env: Environment, session: Session, llm: ScriptedLLM) -> None:
    script(llm, "Mine")
    with elsewhere(env, session) as other:
        other.kill()
        assert (await env["scout"].receive("Me too", session=session)).text == "Mine"


@pytest.mark.parametrize("reply", ["Fine.", LLMError("No.")])
async def test_session_is_released_however_a_turn_ends(
    env: Environment, session: Session, llm: ScriptedLLM, reply: Scripted
) -> None:
    def held(_request: Request) -> str | Message | LLMError:
        holder = lease_holder(env.storage.store, session.id)
        assert holder
        assert holder.pid == os.getpid()
        return reply if isinstance(reply, str | LLMError) else ""

    script(llm, held)
    with suppress(LLMError):
        await env["scout"].receive("Go", session=session)
    assert lease_holder(env.storage.store, session.id) is None


@pytest.mark.parametrize("steps", range(8))
async def test_session_is_released_if_taking_the_lease_is_cancelled(
    env: Environment, session: Session, steps: int
) -> None:
    occupancy = SessionLocks(env.storage.store)

    async def take() -> None:
        async with occupancy.acquire(session.id):
            await asyncio.sleep(60)

    turn = asyncio.create_task(take())
    for _ in range(steps):
        await asyncio.sleep(0.0002)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert lease_holder(env.storage.store, session.id) is None


async def test_external_messages_are_published_before_the_answer(
    env: Environment, session: Session, llm: ScriptedLLM
) -> None:
    script(llm, "Mine")
    with elsewhere(env, session) as other:
        other.answer("An answer")
    events = [event async for event in env["scout"].stream("Me too", session=session)]
    (arrived,) = (event for event in events if isinstance(event, ExternalMessages))
    assert [message["content"] for message in arrived.messages] == ["From elsewhere", "An answer"]
    (mine, _) = (event for event in events if isinstance(event, MessageSaved))
    assert events.index(arrived) < events.index(mine)
    assert [message["content"] for message in llm.requests[0].messages[1:]] == [
        "From elsewhere",
        "An answer",
        "Me too",
    ]


async def test_external_messages_during_a_turn_are_published(
    env: Environment, session: Session, llm: ScriptedLLM
) -> None:
    def interfere(_request: Request) -> str:
        env.session_manager.get(session.id).append({"role": "user", "content": "in between"})
        return "Mine"

    script(llm, interfere)
    events = [event async for event in env["scout"].stream("Go", session=session)]
    shown = [event.messages[0]["content"] for event in events if isinstance(event, ExternalMessages)]
    assert shown == ["in between"]


async def test_busy_delegate_is_waited_for_then_reported(
    env: Environment, llm: ScriptedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delegation, "BUSY_TIMEOUT_SECONDS", 0.1)
    asked = calls(("scout", {"message": "Look"}))
    script(llm, asked, "seen", "one", asked, "two")
    await env["asker"].receive("First")
    (child,) = env["scout"].session_manager.list()
    with Elsewhere(env.folder, child.id) as other:
        reply = await env["asker"].receive("Second")
        other.answer("An answer")
    result = reply.session.history[-2]["content"]
    assert result.startswith("Error: scout was still busy")
    assert f"process {other.pid}" in result
    assert reply.text == "two"


async def test_branch_excludes_the_message_being_answered_elsewhere(env: Environment, session: Session) -> None:
    session.append({"role": "user", "content": "Before"}, {"role": "assistant", "content": "Yes"})
    manager = env["scout"].session_manager
    with elsewhere(env, session) as other:
        branch = manager.branch_before_pending(session)
        assert (branch.name, texts(branch)) == ("Notes branch", ["Before", "Yes"])
        other.answer("An answer")
    assert texts(manager.branch_before_pending(session)) == ["Before", "Yes", "From elsewhere", "An answer"]


async def test_follower_gets_each_message_until_the_session_is_free(env: Environment, session: Session) -> None:
    with elsewhere(env, session) as other:
        coming = follow(session)
        (first,) = await anext(coming)
        assert first["content"] == "From elsewhere"
        other.tell("An answer")
        rest = [message["content"] async for messages in coming for message in messages]
    assert rest == ["An answer"]


def test_poll_returns_new_messages_and_the_holder(tmp_path: Path) -> None:
    with open_env(tmp_path, ScriptedLLM()) as env:
        session = env["scout"].session_manager.create("Notes")
        env.session_manager.get(session.id).append({"role": "user", "content": "Hello"})
        lease = take_lease(env.storage.store, session.id, ProcessInfo.current("ann"))
        sight = session.poll()
        assert [message["content"] for message in sight.messages] == ["Hello"]
        assert sight.holder
        assert (sight.holder.user, sight.holder.is_current) == ("ann", True)
        lease.release()
        assert session.poll() == type(sight)([], None)
