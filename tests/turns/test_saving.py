"""Whatever happens to its session meanwhile, a turn keeps or offers its answer."""

import asyncio
import threading
import time
from pathlib import Path

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.errors import NotSaved, PromptObjectsError, StoreError
from prompt_objects.llm.base import Request, Usage
from prompt_objects.runtime.events import Notice
from prompt_objects.sessions.session import Session
from prompt_objects.testing import ScriptedLLM, calls
from tests.support.environments import make_env, open_env


async def test_messages_of_another_writer_during_a_turn_are_kept(tmp_path: Path) -> None:
    def interfere(request: Request) -> str:
        other = env["scout"].session_manager.get(session.id)
        other.append({"role": "user", "content": "me too"})
        return "answer"

    async with open_env(tmp_path, ScriptedLLM([interfere])) as env:
        session = env["scout"].session_manager.create("Shared")
        await env["scout"].receive("Go", session=session)
        fresh = env.session_manager.get(session.id)
        assert [m["content"] for m in fresh.history] == ["Go", "me too", "answer"]


async def test_disk_error_ends_the_turn_with_an_error(tmp_path: Path) -> None:
    async with open_env(tmp_path, ScriptedLLM(["Hi"])) as env:
        session = env["scout"].session_manager.current()
        path = next(env.data_dir.glob("sessions/0*.json"))
        path.unlink()
        with pytest.raises(PromptObjectsError):
            await env["scout"].receive("Go", session=session)


async def test_answer_restores_a_session_that_was_deleted_meanwhile(tmp_path: Path) -> None:
    """A session that another process deletes during a turn is restored with the reply."""

    def delete(_request: Request) -> str:
        env.session_manager.delete(session.id)
        return "I was still talking"

    async with open_env(tmp_path, ScriptedLLM([delete])) as env:
        session = env["scout"].session_manager.create("Notes")
        with env.bus.subscribe() as news:
            await env["scout"].receive("Go", session=session)
            (notice,) = (event.text for event in news.drain() if isinstance(event, Notice))
        back = env["scout"].session_manager.get("Notes")
        assert [m["content"] for m in back.history] == ["Go", "I was still talking"]
        assert notice.startswith("Notes was deleted by another process")
        assert notice.endswith("was restored from the trash, as Notes.")


async def test_an_answer_that_cannot_be_saved_as_its_session_is_purged_says_so(tmp_path: Path) -> None:
    def purge(_request: Request) -> str:
        env.session_manager.delete(session.id)
        env.storage.store.purge(session.id)
        return "I was still talking"

    async with open_env(tmp_path, ScriptedLLM([purge])) as env:
        session = env["scout"].session_manager.create("Notes")
        with pytest.raises(NotSaved, match=r"Notes was deleted by .*, permanently: .* not be saved") as caught:
            await env["scout"].receive("Go", session=session)
        assert (caught.value.reply.text, caught.value.reply.usage) == ("I was still talking", Usage(2, 4))
        assert caught.value.kept
        (record,) = env.storage.unsaved.recover(env.storage.store)
        assert [message["content"] for message in Session(env.storage.store, record).history] == [
            "Go",
            "I was still talking",
        ]


async def test_an_answer_for_an_environment_that_was_moved_meanwhile_is_offered_at_its_new_place(
    tmp_path: Path,
) -> None:
    def move(_request: Request) -> str:
        (tmp_path / "old").rename(tmp_path / "new")
        return "a paid answer"

    async with open_env(tmp_path / "old", ScriptedLLM([move])) as env:
        with pytest.raises(NotSaved, match="was moved or replaced while it was in use"):
            await env["scout"].receive("Go")
    assert not (tmp_path / "old").exists()
    with Environment.open(tmp_path / "new", environ={}) as env:
        (notice,) = env.storage.unsaved_notices()
        assert "prompt-objects sessions recover" in notice
        env.storage.unsaved.recover(env.storage.store)
        assert env["scout"].session_manager.current().tail(1)[0]["content"] == "a paid answer"
        assert env.storage.unsaved_notices() == []


async def test_nothing_is_created_in_an_environment_that_took_the_place_of_an_open_one(tmp_path: Path) -> None:
    async with open_env(tmp_path / "old", ScriptedLLM(["never"])) as env:
        (tmp_path / "old").rename(tmp_path / "new")
        make_env(tmp_path / "old")
        with pytest.raises(StoreError, match="was moved or replaced"):
            await env["scout"].receive("Go")
    assert not (tmp_path / "old" / ".prompt_objects").exists()


async def test_turns_of_one_session_run_one_after_the_other(tmp_path: Path) -> None:
    llm = ScriptedLLM([calls(("list_files", {})), "one", "two"], delay=0.01)
    async with open_env(tmp_path, llm) as env:
        scout = env["scout"]
        session = scout.session_manager.current()
        replies = await asyncio.gather(
            scout.receive("First", session=session), scout.receive("Second", session=scout.session_manager.current())
        )
        assert [reply.text for reply in replies] == ["one", "two"]
        texts = [m["content"] for m in scout.session_manager.current().history]
        assert [texts[0], *texts[3:]] == ["First", "one", "Second", "two"]


async def test_a_retry_keeps_what_another_window_added(tmp_path: Path) -> None:
    def interfere(_request: Request) -> str:
        scout.session_manager.get(session.id).append({"role": "user", "content": "from elsewhere"})
        return "new"

    llm = ScriptedLLM(["old", interfere, "next"])
    async with open_env(tmp_path, llm) as env:
        scout = env["scout"]
        session = scout.session_manager.current()
        await scout.receive("Go", session=session)
        await scout.retry(session=session)
        await scout.receive("Then?", session=session)
        sent = [m["content"] for m in llm.requests[-1].messages[1:]]
        assert sent == ["Go\n\nfrom elsewhere", "new", "Then?"]


async def test_cancelled_turn_reports_a_message_that_was_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_env(tmp_path, ScriptedLLM(["unused"])) as env:
        session = env["scout"].session_manager.current()
        began = threading.Event()

        def refuse(*_: object, **__: object) -> None:
            began.set()
            time.sleep(0.1)
            raise StoreError("The database cannot be reached.")

        monkeypatch.setattr(env.storage.store, "append", refuse)
        with env.bus.subscribe() as news:
            task = asyncio.create_task(env["scout"].receive("Hello", None, session))
            await asyncio.to_thread(began.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            notices = [event.text for event in news.drain() if isinstance(event, Notice)]
        assert notices == ["Not saved: The database cannot be reached."]
