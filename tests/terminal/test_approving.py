"""Nothing is written before the person, asked on the screen, has said so."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from windows import Open, make_environment, windows

from openai_server import OpenAIServer, calls, text

pytestmark = pytest.mark.terminal

WRITE = calls(("write_file", {"path": "notes.txt", "content": "Hello there\n"}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_environment(tmp_path)
    (tmp_path / "objects" / "guide.yaml").write_text("name: guide\nprompt: You guide.\ncapabilities: [write_file]\n")
    return tmp_path


@pytest.fixture
def open_(folder: Path, openai_server: OpenAIServer) -> Iterator[Open]:
    with windows(folder, openai_server) as opened:
        yield opened


def test_a_change_is_shown_and_made_after_a_yes(open_: Open, openai_server: OpenAIServer, folder: Path) -> None:
    openai_server.script(WRITE, text("Written."))
    terminal = open_()
    terminal.send("Note it\r")
    terminal.wait_for("guide wants to use write_file:")
    terminal.wait_for("+Hello there")
    terminal.wait_for("[y/s/N/never/e]")
    assert not (folder / "notes.txt").exists()
    terminal.send("y\r")
    terminal.wait_for("Written.")
    assert (folder / "notes.txt").read_text() == "Hello there\n"


def test_an_empty_answer_is_a_no(open_: Open, openai_server: OpenAIServer, folder: Path) -> None:
    openai_server.script(WRITE, text("Then not."))
    terminal = open_()
    terminal.send("Note it\r")
    terminal.wait_for("[y/s/N/never/e]")
    terminal.press("enter")
    terminal.wait_for("Then not.")
    assert not (folder / "notes.txt").exists()


def test_editing_can_be_given_up(open_: Open, openai_server: OpenAIServer, folder: Path) -> None:
    openai_server.script(WRITE, text("Written."))
    terminal = open_()
    terminal.send("Note it\r")
    terminal.wait_for("[y/s/N/never/e]")
    terminal.send("e\r")
    terminal.wait_for('"content": "Hello there')
    terminal.press("ctrl-c")
    terminal.wait_gone("[y/s/N/never/e]")
    assert not (folder / "notes.txt").exists()


def test_ctrl_c_at_the_question_stops_the_reply(open_: Open, openai_server: OpenAIServer, folder: Path) -> None:
    openai_server.script(WRITE, text("Next."))
    terminal = open_()
    terminal.send("Note it\r")
    terminal.wait_for("[y/s/N/never/e]")
    terminal.press("ctrl-c")
    terminal.wait_gone("[y/s/N/never/e]")
    terminal.send("Go on\r")
    terminal.wait_for("Next.")
    assert not (folder / "notes.txt").exists()
