"""Notes are shared within one conversation and stay with it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.chat import commands
from prompt_objects.chat.chat import Chat
from prompt_objects.chat.results import Table, Text
from prompt_objects.environment.environment import Environment
from prompt_objects.errors import NotFound
from prompt_objects.llm.base import Request
from prompt_objects.sessions.session import Session
from prompt_objects.testing import ScriptedLLM, calls
from prompt_objects.tools.builtin.notes import MAX_CHARACTERS, MAX_NOTES, read_notes
from tests.support.environments import make_env

HOUSE = {
    "boss": "name: boss\ncapabilities: [helper, notes]\nlimits: {requests: 300, parallel: 8}\nprompt: Ask.\n",
    "helper": "name: helper\ncapabilities: [notes]\nprompt: Help.\n",
}


def results(session: Session) -> list[str]:
    return [message["content"] for message in session.history if message["role"] == "tool"]


def note(name: str, text: str = "", **more: Any) -> tuple[str, dict[str, Any]]:
    return "notes", {"name": name, "text": text, **more}


async def test_a_note_is_read_by_other_objects_with_its_writer(tmp_path: Path) -> None:
    first_steps = [calls(note("budget", "40 euros")), calls(("helper", {"message": "Go"}))]
    helping = [calls(("notes", {})), calls(note("budget", "50 euros"))]
    llm = ScriptedLLM([*first_steps, *helping, "Done.", calls(note("budget")), "All done."])
    async with Environment.open(make_env(tmp_path, HOUSE), llm=llm, environ={}) as env:
        reply = await env["boss"].receive("Go")
        (child,) = env["helper"].session_manager.list()
        helped = results(env["helper"].session_manager.get(child.id))
    assert helped[0] == "budget (boss, just now, 8 characters): 40 euros"
    assert helped[1].startswith("Wrote budget. It replaces: budget (boss")
    assert results(reply.session)[2] == "[written by boss → helper, just now]\n50 euros"


async def test_notes_are_kept_when_the_conversation_or_a_part_of_it_continues(tmp_path: Path) -> None:
    llm = ScriptedLLM([calls(note("budget", "40 euros")), calls(("helper", {"message": "Go"})), "Helped.", "Done."])
    async with Environment.open(make_env(tmp_path, HOUSE), llm=llm, environ={}) as env:
        await env["boss"].receive("Go")
    llm = ScriptedLLM([calls(("notes", {})), "Still known.", calls(("notes", {})), "Here, too."])
    async with Environment.open(tmp_path, llm=llm, environ={}) as env:
        again = await env["boss"].receive("What was it?")
        manager = env["helper"].session_manager
        part = await env["helper"].receive("And here?", session=manager.get(manager.list()[0].id))
        elsewhere = env["boss"].session_manager.create("Other")
        assert read_notes(env.storage.workspace / elsewhere.id) == []
    assert (
        results(again.session)[-1] == results(part.session)[-1] == "budget (boss, just now, 8 characters): 40 euros"
    )


async def test_concurrent_writes_lose_no_note(tmp_path: Path) -> None:
    def work(request: Request) -> Any:
        if request.messages[-1]["role"] == "tool":
            return "Done."
        name = request.messages[-1]["content"]
        return calls(*(note(f"{name}{n}", name) for n in range(5)))

    at_once = calls(*(("helper", {"message": f"h{n}"}) for n in range(6)))
    llm = ScriptedLLM([at_once, *[work] * 12, "All done."])
    async with Environment.open(make_env(tmp_path, HOUSE), llm=llm, environ={}) as env:
        reply = await env["boss"].receive("Go")
        workspace = env.storage.workspace / reply.session.id
    kept = read_notes(workspace)
    assert {each.name for each in kept} == {f"h{n}{m}" for n in range(6) for m in range(5)}
    assert (
        tmp_path / ".prompt_objects" / "workspace" / reply.session.id / "notes.json"
    ).stat().st_mode & 0o777 == 0o600


async def test_notes_have_limits_and_can_be_removed(tmp_path: Path) -> None:
    full = [note(f"n{n}", "x") for n in range(MAX_NOTES)]
    wrong = [note("more", "x"), note("n0", "y"), note("n1", "x" * (MAX_CHARACTERS + 1)), note("", "x")]
    last = [note("n2", remove=True), note("n2"), note("n2", remove=True), note("more", "x")]
    asked = [full, wrong[:1], wrong[1:], *([each] for each in last)]
    llm = ScriptedLLM([*(calls(*each) for each in asked), "Done."])
    async with Environment.open(make_env(tmp_path, HOUSE), llm=llm, environ={}) as env:
        reply = await env["boss"].receive("Go")
    answers = results(reply.session)[MAX_NOTES:]
    assert answers[0].startswith("Error: There are already 100 notes")
    assert answers[1].startswith("Wrote n0. It replaces: n0")
    assert answers[2] == "Error: A note has at most 10,000 characters; this one has 10,001."
    assert answers[3] == "Error: A note needs a name of printable characters."
    assert answers[4].startswith("Removed: n2 (boss")
    assert answers[5].startswith("Error: There is no note 'n2'. Existing notes: n")
    assert answers[6].startswith("Error: There is no note 'n2'.")
    assert answers[7] == "Wrote more."


async def test_an_invalid_notes_file_is_reported_and_not_changed(tmp_path: Path) -> None:
    llm = ScriptedLLM([calls(note("a", "b")), "Done."])
    async with Environment.open(make_env(tmp_path, HOUSE), llm=llm, environ={}) as env:
        file = env.storage.workspace / env["boss"].session_manager.current().id / "notes.json"
        file.parent.mkdir(parents=True)
        file.write_text("[{]")
        reply = await env["boss"].receive("Go")
    assert "notes.json does not contain notes" in results(reply.session)[0]
    assert file.read_text() == "[{]"


async def test_a_copied_session_has_its_own_copy_of_the_notes(tmp_path: Path) -> None:
    llm = ScriptedLLM([calls(note("a", "first")), "Done.", calls(note("a", "second")), "Done."])
    async with Environment.open(make_env(tmp_path, HOUSE), llm=llm, environ={}) as env:
        manager = env["boss"].session_manager
        original = (await env["boss"].receive("Go")).session
        branch, copy = manager.branch(original.id), manager.duplicate(original.id)
        await env["boss"].receive("Again", session=original)
        texts = [read_notes(env.storage.workspace / each.id)[0].text for each in (original, branch, copy)]
        manager.delete(branch.id)
        assert (env.storage.workspace / branch.id).exists()
        manager.purge(branch.id)
        assert not (env.storage.workspace / branch.id).exists()
    assert texts == ["second", "first", "first"]


async def test_the_user_can_list_notes(tmp_path: Path) -> None:
    llm = ScriptedLLM([calls(note("budget", "40 euros")), "Done."])
    async with Environment.open(make_env(tmp_path, HOUSE), llm=llm, environ={}) as env:
        chat = Chat(env, env["boss"], env["boss"].session_manager.current())
        assert await asyncio.to_thread(commands.run, chat, "/notes") == Table(
            "Notes", ("name", "by", "when", "text"), []
        )
        await chat.send("Go")
        shown = commands.run(chat, "/notes")
        assert isinstance(shown, Table)
        assert shown.rows == [("budget", "boss", "just now", "40 euros")]
        assert commands.run(chat, "/notes budget") == Text("boss, just now:\n40 euros")
        with pytest.raises(NotFound, match="There is no note 'bugdet'") as caught:
            commands.run(chat, "/notes bugdet")
        assert caught.value.hint == "Did you mean 'budget'?"


async def test_sessions_in_memory_leave_no_notes_behind(tmp_path: Path) -> None:
    llm = ScriptedLLM([calls(note("a", "b")), calls(("notes", {})), "Done."])
    async with Environment.open(make_env(tmp_path, HOUSE), llm=llm, store="memory:", environ={}) as env:
        reply = await env["boss"].receive("Go")
        workspace = env.storage.workspace
        copy = env["boss"].session_manager.duplicate(reply.session.id)
        assert [each.text for each in read_notes(workspace / copy.id)] == ["b"]
    assert results(reply.session)[1].endswith(": b")
    assert not (tmp_path / ".prompt_objects" / "workspace").exists()
    assert not workspace.exists()
