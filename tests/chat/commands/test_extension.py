"""A slash command is one new file, or one entry point of an installed package; nothing else is edited."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from prompt_objects.chat import commands
from prompt_objects.chat.chat import Chat
from prompt_objects.chat.results import Document as MarkdownDocument
from prompt_objects.chat.results import Quit, Table, Text
from prompt_objects.environment.environment import Environment
from prompt_objects.errors import UsageError
from prompt_objects.ui.line.completer import CommandCompleter
from tests.support.doc_scripts import script
from tests.support.environments import make_env

COMMAND = '''
from prompt_objects.chat.chat import Chat
from prompt_objects.chat.commands import FreeText, slash_command
from prompt_objects.chat.results import CommandResult, Text


@slash_command("shout")
def shout(chat: Chat, words: FreeText) -> CommandResult:
    """Print words in capitals."""
    return Text(words.upper())
'''


@pytest.fixture(autouse=True)
def fresh_commands() -> Iterator[None]:
    """Find the commands again in each test, and after it."""
    commands.all_commands.cache_clear()
    yield
    commands.all_commands.cache_clear()


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Chat]:
    (tmp_path / "environment").mkdir()
    with Environment.open(make_env(tmp_path / "environment"), model="rehearsal", environ={}) as environment:
        yield Chat(environment, environment["scout"], environment["scout"].session_manager.current())


def test_parameters_are_declared_by_plain_types(chat: Chat) -> None:
    @commands.slash_command("repeat")
    def repeat(chat: Chat, times: int, words: str | None = None) -> Text:
        """Print words several times."""
        return Text(f"{chat.po.name}: {words or 'nothing'}" * times)

    assert repeat.usage == "/repeat <times> [words]"
    assert repeat.parse("2 a b") == {"times": 2, "words": "a b"}
    with pytest.raises(UsageError, match="is not a whole number"):
        repeat.parse("two")


def test_a_parameter_of_another_type_is_an_error_that_names_it() -> None:
    with pytest.raises(TypeError, match="parameter when"):

        @commands.slash_command("remind")
        def remind(chat: Chat, when: float) -> Text:
            """Remind."""
            return Text(f"{chat.po.name} {when}")


def add_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add a file to the commands, as if it were in `chat/commands/`."""
    folder.joinpath("shout.py").write_text(COMMAND)
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, f"{commands.__name__}.shout", raising=False)


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, *, source: str = COMMAND, name: str = "shout") -> None:
    """Install a package with an entry point."""
    folder.joinpath("shouting_package.py").write_text(source)
    metadata = folder / "shouting-1.dist-info"
    metadata.mkdir()
    metadata.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1\n")
    metadata.joinpath("entry_points.txt").write_text(f"[{commands.GROUP}]\n{name} = shouting_package\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "shouting_package", raising=False)


@pytest.mark.parametrize("add", [add_file, install])
def test_a_new_command_is_found_run_completed_and_documented(
    add: Callable[[Path, pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chat: Chat
) -> None:
    add(tmp_path, monkeypatch)
    assert commands.run(chat, "/shout good morning") == Text("GOOD MORNING")
    overview = commands.run(chat, "/help")
    assert isinstance(overview, Table)
    assert ("Other commands", "/shout") in overview.rows
    help_text = commands.run(chat, "/help shout")
    assert isinstance(help_text, MarkdownDocument)
    assert help_text.markdown == "`/shout <words>`\n\nPrint words in capitals."
    offered = CommandCompleter(chat).get_completions(Document("/sh"), CompleteEvent())
    assert [completion.text for completion in offered] == ["shout "]
    assert "/shout <words>" in script("commands").reference()


def test_a_package_cannot_replace_a_built_in_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chat: Chat
) -> None:
    install(tmp_path, monkeypatch, source=COMMAND.replace('"shout"', '"quit"'))
    assert commands.run(chat, "/quit") == Quit()


def test_a_faulty_package_is_reported_when_its_command_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chat: Chat
) -> None:
    install(tmp_path, monkeypatch, source="import no_such_module\n")
    assert commands.run(chat, "/quit") == Quit()
    with pytest.raises(UsageError, match="no_such_module"):
        commands.run(chat, "/shout hello")
