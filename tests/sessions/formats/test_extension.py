"""A new export format is one new file, or one entry point of an installed package."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from prompt_objects.chat import commands
from prompt_objects.chat.chat import Chat
from prompt_objects.cli import main
from prompt_objects.environment.environment import Environment
from prompt_objects.errors import UsageError
from prompt_objects.sessions import formats
from prompt_objects.testing import ScriptedLLM
from prompt_objects.ui.line.completer import CommandCompleter
from tests.support.environments import make_env

FORMAT = """
SUFFIX = ".txt"


def export(session):
    return "".join(f"{message['role']}: {message['content']}\\n" for message in session.history)
"""
TEXT = "user: Hello\nassistant: Hi\n"


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    folder = make_env(tmp_path / "environment")
    with Environment.open(folder, llm=ScriptedLLM(), environ={}) as environment:
        session = environment["scout"].session_manager.create("Notes")
        session.append({"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"})
        yield environment


@pytest.fixture(params=["a file", "an entry point"])
def transcript(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The format `transcript`, in both ways in which one can be added."""
    (tmp_path / "added").mkdir()
    if request.param == "a file":
        (tmp_path / "added" / "transcript.py").write_text(FORMAT)
        monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path / "added")])
    else:
        (tmp_path / "added" / "added_format.py").write_text(FORMAT)
        install(tmp_path / "added", "transcript = added_format\nbroken = no_such_module")
        monkeypatch.syspath_prepend(tmp_path / "added")
    formats.format_names.cache_clear()
    yield
    formats.format_names.cache_clear()


def install(site: Path, entry_points: str) -> None:
    """Leave a package's metadata as pip does."""
    info = site / "added_format-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: added_format\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{formats.GROUP}]\n{entry_points}\n")


@pytest.mark.usefixtures("transcript")
def test_an_added_format_can_be_used_from_python(environment: Environment, tmp_path: Path) -> None:
    manager = environment["scout"].session_manager
    assert manager.export("Notes", "transcript") == TEXT
    written = formats.export_to(manager.get("Notes"), "transcript", None, tmp_path / "exports")
    assert (written.suffix, written.read_text()) == (".txt", TEXT)


@pytest.mark.usefixtures("transcript")
def test_an_added_format_can_be_used_from_the_shell(
    environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(environment.folder)
    assert main(["sessions", "export", "Notes", "--format", "transcript", "--env", folder]) == 0
    assert capsys.readouterr().out.strip() == TEXT.strip()


@pytest.mark.usefixtures("transcript")
def test_an_added_format_can_be_used_and_completed_in_the_chat(environment: Environment) -> None:
    po = environment["scout"]
    chat = Chat(environment, po, po.session_manager.get("Notes"))
    completions = CommandCompleter(chat).get_completions(Document("/session export tr"), CompleteEvent())
    assert [each.text for each in completions] == ["transcript"]
    commands.run(chat, "/session export transcript")
    (written,) = (environment.data_dir / "exports").iterdir()
    assert (written.suffix, written.read_text()) == (".txt", TEXT)


@pytest.mark.parametrize("transcript", ["an entry point"], indirect=True)
@pytest.mark.usefixtures("transcript")
def test_a_format_that_cannot_be_loaded_is_named(environment: Environment) -> None:
    with pytest.raises(UsageError, match=r"'broken' .*no_such_module.* cannot be loaded"):
        environment["scout"].session_manager.export("Notes", "broken")
