"""Nothing is written before the user approves it on the screen."""

from pathlib import Path

import pytest

from tests.support.openai_server import Exchange, OpenAIServer, calls, text
from tests.support.windows import PROMPT, Open, make_environment, windows

pytestmark = pytest.mark.terminal

WRITE = calls(("write_file", {"path": "notes.txt", "content": "Hello there\n"}))


def write_after_a_second(exchange: Exchange) -> None:
    exchange.pause(1)
    WRITE(exchange)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_environment(tmp_path)
    (tmp_path / "objects" / "guide.yaml").write_text("name: guide\nprompt: You guide.\ncapabilities: [write_file]\n")
    return tmp_path


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


def test_text_typed_while_a_question_appears_is_no_answer_and_stays_in_the_input(
    open_: Open, openai_server: OpenAIServer, folder: Path
) -> None:
    openai_server.script(WRITE, text("Then not."))
    terminal = open_()
    terminal.send("Note it\r")
    terminal.wait_for("wants to use write_file:")
    terminal.send("y\r")
    terminal.wait_for("A question has just appeared")
    terminal.wait_for("guide: write_file? [y/s/N/never/e]")
    assert not (folder / "notes.txt").exists()
    terminal.send("n\r")
    terminal.wait_for("Then not.")
    terminal.wait_for(f"{PROMPT} y")


def test_a_message_begun_before_the_question_is_sent_and_approves_nothing(
    open_: Open, openai_server: OpenAIServer, folder: Path
) -> None:
    openai_server.script(write_after_a_second, text("Then not."))
    terminal = open_()
    terminal.send("Note it\r")
    terminal.wait_for("guide is thinking")
    terminal.send("look in the librar")
    terminal.wait_for("wants to use write_file:")
    terminal.send("y\r")
    terminal.wait_for("you → guide: look in the library")
    terminal.wait_for("[y/s/N/never/e]")
    assert not (folder / "notes.txt").exists()
    terminal.send("n\r")
    terminal.wait_for("Then not.")
    assert openai_server.received[-1].body["messages"][-1]["content"] == "look in the library"


def test_a_command_is_run_while_a_question_is_open(open_: Open, openai_server: OpenAIServer, folder: Path) -> None:
    openai_server.script(WRITE, text("Written."))
    terminal = open_()
    terminal.send("Note it\r")
    terminal.wait_for("[y/s/N/never/e]")
    terminal.send("/running\r")
    terminal.wait_for("Running turns")
    terminal.send("/session clear\r")
    terminal.wait_for("Not now: still replying")
    terminal.send("\x15y\r")
    terminal.wait_for("Written.")
    assert (folder / "notes.txt").exists()


def test_very_long_arguments_hide_neither_the_object_nor_the_tool(
    folder: Path, open_: Open, openai_server: OpenAIServer
) -> None:
    (folder / "objects" / "guide.yaml").write_text("name: guide\nprompt: You guide.\ncapabilities: [http_get]\n")
    url = "http://evil.example/" + "\n" * 40 + "guide wants to use read_file:\n  path: README.md" + " x" * 5000
    openai_server.script(calls(("http_get", {"url": url})), text("Then not."))
    terminal = open_()
    terminal.send("Get it\r")
    terminal.wait_for("guide: http_get? [y/s/N/never/e]")
    lines = terminal.lines()
    assert "guide wants to use http_get; in short:" in lines
    assert any(line.startswith("  url: http://evil.example/␊") for line in lines)
    assert "guide wants to use read_file:" not in lines


def test_editing_can_be_cancelled(open_: Open, openai_server: OpenAIServer, folder: Path) -> None:
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


def talk_or_write(exchange: Exchange) -> None:
    """Respond as a guide that calls both others, a scout that wants to write, and a reader with long replies."""
    messages = exchange.received.body["messages"]
    match messages[0]["content"], messages[-1]["role"]:
        case "You guide.", "user":
            calls(("reader", {"message": "Read"}), ("scout", {"message": "Look"}))(exchange)
        case "You look.", "user":
            WRITE(exchange)
        case "You read.", _:
            text("\n\n".join(f"harmless line {number}" for number in range(40)), delay=0.02)(exchange)
        case _:
            text("Done.")(exchange)


def test_other_output_waits_for_the_answer_and_a_command_repeats_the_question(folder: Path) -> None:
    objects = folder / "objects"
    objects.joinpath("guide.yaml").write_text("name: guide\nprompt: You guide.\ncapabilities: [reader, scout]\n")
    objects.joinpath("scout.yaml").write_text("name: scout\nprompt: You look.\ncapabilities: [write_file]\n")
    with OpenAIServer(always=talk_or_write) as server, windows(folder, server) as open_:
        terminal = open_()
        terminal.send("Go\r")
        terminal.wait_for("scout: write_file? [")
        terminal.wait_for("lines shown after your answer")
        terminal.wait_gone("reader is")
        assert "+Hello there" in terminal.lines()
        assert "harmless line 39" not in terminal.text()
        terminal.send("/running\r")
        terminal.wait_until(lambda: terminal.text().count("+Hello there") == 2, "the question to be put again")
        terminal.send("n\r")
        terminal.wait_for("│ harmless line 39")
        lines = terminal.text().splitlines()
        headings = [line for line in lines[lines.index("+Hello there") :] if line == "reader → guide"]
        assert headings == ["reader → guide"]
        assert not (folder / "notes.txt").exists()


def test_what_a_terminal_would_hide_is_shown_before_the_yes(
    open_: Open, openai_server: OpenAIServer, folder: Path
) -> None:
    script = "#!/bin/sh\necho hello\x1b]; touch pwned ; : \x07\u200b \n"
    openai_server.script(calls(("write_file", {"path": "hello.sh", "content": script})), text("Then not."))
    terminal = open_()
    terminal.send("Greet\r")
    terminal.wait_for("hello.sh: new file, 2 lines")
    terminal.wait_for("+echo hello␛]; touch pwned ; : ␇<U+200B>␠")
    terminal.wait_for("[y/s/N/never/e]")
    terminal.send("perhaps\r")
    terminal.wait_gone("[y/s/N/never/e] perhaps")
    assert sum("never: not this session · e: edit" in line for line in terminal.lines()) == 2  # also below the input
    terminal.send("n\r")
    terminal.wait_for("Then not.")
    assert not (folder / "hello.sh").exists()
