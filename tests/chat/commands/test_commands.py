"""The slash commands: the typed line and its result."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from prompt_objects.chat import commands
from prompt_objects.chat.chat import Chat
from prompt_objects.chat.results import Confirm, Document, Quit, Retry, Send, Switched, Table, Text
from prompt_objects.environment.environment import Environment
from prompt_objects.errors import InvalidName, NameTaken, NotFound, PromptObjectsError, UsageError
from tests.support.environments import make_env
from tests.support.openai_server import OpenAIServer

T = TypeVar("T")


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Chat]:
    with Environment.open(make_env(tmp_path), model="rehearsal", environ={}) as environment:
        po = environment["scout"]
        yield Chat(environment, po, po.session_manager.current())


def run(chat: Chat, line: str, kind: type[T]) -> T:
    """Run a line, and check that its result is of that kind."""
    result = commands.run(chat, line)
    assert isinstance(result, kind)
    return result


def names(chat: Chat) -> list[str]:
    return sorted(info.name for info in chat.po.session_manager.list())


def test_every_command_has_a_summary() -> None:
    for name, command in commands.all_commands().items():
        assert command.name == name
        assert command.summary.endswith("."), name


def test_sessions_are_listed_with_the_current_one_marked(chat: Chat) -> None:
    commands.run(chat, "/session new Notes")
    table = run(chat, "/sessions", Table)
    assert [row[0] for row in table.rows] == ["Notes", "Default"]
    assert table.mark == 0


def test_a_new_session_is_the_current_one_and_names_may_have_spaces(chat: Chat) -> None:
    assert isinstance(commands.run(chat, "/session new  My  notes "), Switched)
    assert chat.session.name == "My  notes"
    assert chat.po.session_manager.current().id == chat.session.id


def test_a_new_session_needs_no_name(chat: Chat) -> None:
    commands.run(chat, "/session new")
    assert chat.session.name == "Session 2"


@pytest.mark.parametrize(
    ("line", "missing"),
    [("/session truncate", "a number of messages"), ("/session rename", "a name"), ("/po", "a name")],
)
def test_a_missing_argument_is_named(chat: Chat, line: str, missing: str) -> None:
    with pytest.raises(UsageError) as caught:
        commands.run(chat, line)
    assert str(caught.value) == f"{line} needs {missing}."
    assert caught.value.hint.startswith(f"Usage: {line} <")


def test_rename_switch_and_duplicate(chat: Chat) -> None:
    commands.run(chat, "/session rename Travel plans")
    assert chat.session.name == "Travel plans"
    commands.run(chat, "/session duplicate")
    assert chat.session.name == "Travel plans copy"
    commands.run(chat, "/session switch Travel plans")
    assert chat.session.name == "Travel plans"


def test_a_taken_name_is_refused_with_a_suggestion_and_changes_nothing(chat: Chat) -> None:
    commands.run(chat, "/session new Notes")
    with pytest.raises(NameTaken) as caught:
        commands.run(chat, "/session rename Default")
    assert caught.value.suggestion == "Default 2"
    assert chat.session.name == "Notes"
    with pytest.raises(InvalidName):
        commands.run(chat, "/session rename a\x1b[31mb")


def test_deleting_asks_first_and_can_be_undone(chat: Chat) -> None:
    commands.run(chat, "/session new Notes")
    question = run(chat, "/session delete", Confirm)
    assert "Notes (0 messages)" in question.text
    assert names(chat) == ["Default", "Notes"]
    assert isinstance(question.on_yes(), Switched)
    assert chat.session.name == "Default"
    assert names(chat) == ["Default"]
    commands.run(chat, "/session restore")
    assert chat.session.name == "Notes"


def test_deleting_another_session_keeps_the_current_one(chat: Chat) -> None:
    commands.run(chat, "/session new Notes")
    question = run(chat, "/session delete Default", Confirm)
    assert isinstance(question.on_yes(), Text)
    assert chat.session.name == "Notes"


def test_export_writes_markdown_and_json_and_overwrites_nothing(chat: Chat, tmp_path: Path) -> None:
    chat.session.append({"role": "user", "content": "Hello there"})
    result = run(chat, "/session export", Text)
    written = next((chat.environment.data_dir / "exports").iterdir())
    assert str(written) in result.text
    assert "Hello there" in written.read_text()
    assert written.stat().st_mode & 0o777 == 0o600
    commands.run(chat, f"/session export json {tmp_path / 'a b.json'}")
    assert json.loads((tmp_path / "a b.json").read_text())["history"][0]["content"] == "Hello there"
    with pytest.raises(UsageError, match="exists already"):
        commands.run(chat, f"/session export json {tmp_path / 'a b.json'}")


def test_a_path_needs_no_format_and_a_misspelled_format_is_an_error(chat: Chat, tmp_path: Path) -> None:
    commands.run(chat, f"/session export {tmp_path / 'x.md'}")
    assert (tmp_path / "x.md").exists()
    with pytest.raises(UsageError) as caught:
        commands.run(chat, "/session export jsn x")
    assert "json" in caught.value.hint


def test_objects_are_listed_and_switched(chat: Chat) -> None:
    table = run(chat, "/objects", Table)
    assert [row[0] for row in table.rows] == ["boss", "helper", "scout"]
    assert table.mark == 2
    commands.run(chat, "/po boss")
    assert (chat.po.name, chat.session.po_name, chat.session.name) == ("boss", "boss", "Default")
    assert chat.environment.current_object.name == "boss"


def test_an_invalid_object_is_shown_as_invalid_and_the_others_work(chat: Chat) -> None:
    (chat.environment.folder / "objects" / "helper.yaml").write_text("name: helper\nprompt: Hi\ncolour: red\n")
    table = run(chat, "/objects", Table)
    assert "invalid" in table.rows[1][1]
    assert "colour" in table.rows[1][1]
    assert "invalid" not in table.rows[0][1]


def test_models_are_listed_and_the_model_can_be_changed_for_all(tmp_path: Path, openai_server: OpenAIServer) -> None:
    environ = {"OPENAI_BASE_URL": openai_server.base_url}
    with Environment.open(make_env(tmp_path), environ=environ) as environment:
        po = environment["scout"]
        chat = Chat(environment, po, po.session_manager.current())
        listed = run(chat, "/model", Table)
        assert [row[0] for row in listed.rows] == ["small", "large", "rehearsal"]
        assert listed.mark == 0
        assert run(chat, "/model large", Text).text == f"large: http://127.0.0.1:{openai_server.port}"
        assert run(chat, "/model", Table).mark == 1
        assert environment.models.connected_model(environment["boss"].definition) == "large"


def test_a_long_list_of_models_is_shortened(tmp_path: Path, openai_server: OpenAIServer) -> None:
    openai_server.models = [f"model-{number}" for number in range(100)]
    with Environment.open(make_env(tmp_path), environ={"OPENAI_BASE_URL": openai_server.base_url}) as environment:
        po = environment["scout"]
        rows = run(Chat(environment, po, po.session_manager.current()), "/model", Table).rows
        assert rows[-1] == ("…", "61 more: type /model and press Tab")


def test_retry_and_quit(chat: Chat) -> None:
    assert isinstance(commands.run(chat, "/retry"), Retry)
    assert isinstance(commands.run(chat, "/quit"), Quit)


def test_the_help_describes_the_common_commands_and_names_all_others(chat: Chat) -> None:
    overview = run(chat, "/help", Table)
    assert run(chat, "/", Table) == overview
    assert list(overview.sections.values()) == ["Most used", "Others"]
    described = {usage for usage, _ in overview.rows[: max(overview.sections)]}
    assert {"/help [command]", "/quit", "/session new [name]", "/po <name>"} <= described
    named = " ".join(text for _, text in overview.rows[max(overview.sections) :])
    for name, command in commands.all_commands().items():
        assert command.usage in described or name.split()[-1] in named


def test_the_help_of_a_group_lists_its_commands(chat: Chat) -> None:
    listed = [usage for usage, _ in run(chat, "/help session", Table).rows]
    assert {"/session", "/session new [name]", "/session truncate <messages>"} <= set(listed)
    assert "/session delete [session]" in run(chat, "/help session delete", Document).markdown
    assert "Also: `/exit`" in run(chat, "/help quit", Document).markdown


@pytest.mark.parametrize(
    ("typed", "command", "arguments"),
    [
        ("/exit", "quit", ""),
        ("/q", "quit", ""),
        ("/new API notes", "session new", "API notes"),
        ("/cost", "trace", ""),
        ("/export json", "session export", "json"),
        ("/rename Plan", "session rename", "Plan"),
        ("/agents", "objects", ""),
        ("/?", "help", ""),
    ],
)
def test_words_of_other_programs_run_a_command(typed: str, command: str, arguments: str) -> None:
    found, rest = commands.find(typed)
    assert (found.name, rest) == (command, arguments)


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("/clear", ["/session clear: ", "/session new [name]: "]),
        ("/history", ["/sessions: ", "/trace [session]: "]),
        ("/copy", ["/session export "]),
        ("/resume", ["/continue: ", "/session switch <session>: ", "/sessions: "]),
        ("/compact", ["/session branch ", "/session truncate "]),
    ],
)
def test_a_word_that_may_mean_several_commands_names_them(typed: str, named: list[str]) -> None:
    with pytest.raises(NotFound) as caught:
        commands.find(typed)
    lines = caught.value.hint.splitlines()
    assert len(lines) == len(named)
    assert all(line.startswith(start) for line, start in zip(lines, named, strict=True))


def test_no_word_is_declared_for_two_commands_or_is_a_command_itself() -> None:
    known = commands.all_commands().values()
    aliases = [alias for command in known for alias in command.aliases]
    assert len(set(aliases)) == len(aliases)
    assert not set(aliases) & (
        commands.all_commands().keys() | {word for each in known for word in each.suggested_for}
    )


@pytest.mark.parametrize(
    ("word", "command"), [("exit", "/quit"), ("Quit", "/quit"), ("help", "/help"), (".new", "/session new")]
)
def test_a_message_that_may_be_a_command_is_questioned(chat: Chat, word: str, command: str) -> None:
    question = commands.question_about(chat, word)
    assert question
    assert f"Do you mean {command}" in question.text
    assert commands.confirm(question, "n") == Send("", word)
    assert commands.confirm(question, "") == Text("Nothing was changed.")


def test_exit_leaves_after_a_yes_and_other_messages_are_not_questioned(chat: Chat) -> None:
    question = commands.question_about(chat, "exit")
    assert question
    assert commands.confirm(question, "y") == Quit()
    for message in ("exit the room", "...", ".gitignore", "new", "clear"):
        assert commands.question_about(chat, message) is None


def test_switching_to_an_invalid_prompt_object_says_what_is_wrong(chat: Chat) -> None:
    (chat.environment.folder / "objects" / "helper.yaml").write_text("name: helper\nprompt: Hi\ncolour: red\n")
    text = run(chat, "/po helper", Switched).text
    assert "Switched to helper" in text
    assert "helper.yaml:3:1" in text


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("/sesions", "/sessions"),
        ("/session swich x", "switch"),
        ("/session qqq", "/session new"),
        ("/po boos", "boss"),
        ("/session switch defualt", "Default"),
        ("/help sesion", "/session"),
    ],
)
def test_a_misspelled_name_suggests_the_nearest(chat: Chat, line: str, hint: str) -> None:
    with pytest.raises(NotFound) as caught:
        commands.run(chat, line)
    assert hint in caught.value.hint


@pytest.mark.parametrize("line", ["/quit now", "/session rename", "/po", "/session switch"])
def test_wrong_arguments_show_the_usage(chat: Chat, line: str) -> None:
    with pytest.raises(UsageError) as caught:
        commands.run(chat, line)
    assert "Usage: /" in caught.value.hint


@pytest.mark.parametrize("path", ["~nosuchuser/x.md", "a\0b.md", "no/such/folder.md"])
def test_an_unusable_path_is_an_error(chat: Chat, path: str) -> None:
    with pytest.raises(PromptObjectsError):
        commands.run(chat, f"/session export json {path}")


def test_an_object_without_its_file_is_not_listed(chat: Chat) -> None:
    (chat.environment.folder / "objects" / "scout.yaml").unlink()
    assert run(chat, "/objects", Table).mark is None
    commands.run(chat, "/po boss")
    with pytest.raises(NotFound):
        commands.run(chat, "/po scout")


def test_an_unusable_model_changes_nothing(tmp_path: Path) -> None:
    environ = {"OPENAI_BASE_URL": "no url", "PROMPT_OBJECTS_MODEL": "rehearsal"}
    with Environment.open(make_env(tmp_path), environ=environ) as environment:
        chat = Chat(environment, environment["scout"], environment["scout"].session_manager.current())
        with pytest.raises(PromptObjectsError):
            commands.run(chat, "/model other")
        assert "rehearsal" in run(chat, "/model", Table).title


def add_messages(chat: Chat, *texts: str) -> None:
    chat.session.append(*({"role": "user", "content": text} for text in texts))


def test_removed_messages_are_restored_by_undo(chat: Chat) -> None:
    add_messages(chat, "one", "two", "three")
    assert "2 messages now" in run(chat, "/session truncate 2", Switched).text
    assert chat.session.message_count == 2
    assert "/undo restores 2 messages" in run(chat, "/session clear", Switched).text
    assert "restored, 2 messages" in run(chat, "/undo", Switched).text
    assert "restored, 3 messages" in run(chat, "/undo", Switched).text
    assert [message["content"] for message in chat.session.history] == ["one", "two", "three"]
    with pytest.raises(NotFound, match="nothing to undo"):
        commands.run(chat, "/undo")


def test_undo_switches_only_to_a_deleted_session(chat: Chat) -> None:
    first = chat.session.id
    commands.run(chat, "/session rename First")
    commands.run(chat, "/session new Second")
    assert "old name" in run(chat, "/undo", Text).text
    assert chat.session.name == "Second"
    assert chat.po.session_manager.get(first).name == "Default"
    run(chat, "/session delete Default", Confirm).on_yes()
    assert isinstance(commands.run(chat, "/undo"), Switched)
    assert chat.session.id == first


def test_the_trash_is_listed_and_purged_after_asking(chat: Chat) -> None:
    for name in ("One", "Two"):
        commands.run(chat, f"/session new {name}")
        run(chat, "/session delete", Confirm).on_yes()
    assert [row[0] for row in run(chat, "/session trash", Table).rows] == ["Two", "One"]
    question = run(chat, "/session purge One", Confirm)
    assert question.text == "Permanently delete session One?"
    assert len(chat.po.session_manager.trash()) == 2
    question.on_yes()
    assert [trashed.info.name for trashed in chat.po.session_manager.trash()] == ["Two"]
    question = run(chat, "/session purge", Confirm)
    assert question.text == "Permanently delete session Two?"
    assert question.on_yes() == Text("Deleted permanently: session Two.")
    assert run(chat, "/session purge", Text).text == "The trash is empty."


@pytest.mark.parametrize(
    ("line", "name", "messages"),
    [
        ("/session branch", "Default branch", 3),
        ("/session branch 2", "Default branch", 2),
        ("/session branch 2 Another way", "Another way", 2),
        ("/session branch Another way", "Another way", 3),
    ],
)
def test_a_branch_takes_a_number_a_name_or_both(chat: Chat, line: str, name: str, messages: int) -> None:
    add_messages(chat, "one", "two", "three")
    assert isinstance(commands.run(chat, line), Switched)
    assert (chat.session.name, chat.session.message_count) == (name, messages)


@pytest.mark.parametrize(
    "line", ["/session truncate", "/session truncate x", "/session truncate ²", "/session truncate 9"]
)
def test_an_invalid_number_is_refused(chat: Chat, line: str) -> None:
    with pytest.raises(UsageError) as caught:
        commands.run(chat, line)
    assert caught.value.hint


def test_archive_and_backup(chat: Chat) -> None:
    add_messages(chat, "one")
    assert "in the archive" in run(chat, "/session archive", Text).text
    assert chat.session.info.archived
    written = Path(run(chat, "/session backup", Text).text.removeprefix("Wrote "))
    assert written.parent == chat.environment.data_dir / "backups" / "sessions"
    assert written.exists()


def test_an_answer_that_was_not_saved_is_recovered_and_shown(chat: Chat) -> None:
    assert run(chat, "/session recover", Text).text == "There is nothing to recover."
    lost = chat.environment["helper"].session_manager.create("Sums")
    chat.environment.storage.unsaved.keep(lost, [{"role": "assistant", "content": "42", "model": "m"}], "Full.")
    assert any("/session recover" in notice for notice in chat.environment.errors_and_notices())
    assert run(chat, "/session recover", Switched).text == "Saved in: Sums."
    assert (chat.po.name, chat.session.id, chat.session.tail(1)[0]["content"]) == ("helper", lost.id, "42")
