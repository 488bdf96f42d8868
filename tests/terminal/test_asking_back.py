"""A prompt object asks the user a question on the screen, and gets the typed answer."""

from pathlib import Path

import pytest

from tests.support.openai_server import OpenAIServer, calls, text
from tests.support.terminal import PROGRAM, Terminal
from tests.support.windows import PROMPT, Open, make_environment

pytestmark = pytest.mark.terminal

ASK = calls(("ask_human", {"question": "Which way?", "choices": ["left", "right"]}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_environment(tmp_path)
    objects = tmp_path / "objects"
    objects.joinpath("guide.yaml").write_text("name: guide\nprompt: You guide.\ncapabilities: [scout, ask_human]\n")
    objects.joinpath("scout.yaml").write_text("name: scout\nprompt: Look.\ncapabilities: [ask_human, write_file]\n")
    return tmp_path


def results_in(server: OpenAIServer, request: int) -> list[str]:
    bodies = [each.body for each in server.received if each.path.endswith("/chat/completions")]
    return [m["content"] for m in bodies[request]["messages"] if m["role"] == "tool"]


def test_the_object_and_its_caller_are_shown_and_a_number_chooses(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(calls(("scout", {"message": "Look"})), ASK, text("Right it is."), text("We go right."))
    terminal = open_()
    terminal.send("Go\r")
    terminal.wait_for("scout (asked by guide) asks you:")
    terminal.wait_for("Which way?")
    terminal.wait_for("2: right")
    terminal.wait_for("answer:")
    terminal.send("2\r")
    terminal.wait_for("We go right.")
    assert results_in(openai_server, 2) == ["right"]


def test_esc_leaves_the_question_unanswered(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(calls(("ask_human", {"question": "Which way?"})), text("I chose myself."))
    terminal = open_()
    terminal.send("Go\r")
    terminal.wait_for("answer:")
    terminal.press("escape")
    terminal.wait_for("I chose myself.")
    assert results_in(openai_server, 1)[0].startswith("The user did not answer.")


@pytest.mark.parametrize("key", ["escape", "ctrl-c"])
def test_up_brings_back_an_unfinished_answer(
    key: str, open_: Open, openai_server: OpenAIServer, folder: Path
) -> None:
    openai_server.script(calls(("ask_human", {"question": "Which way?"})), text("I chose myself."))
    terminal = open_()
    terminal.send("Go\r")
    terminal.wait_for("answer:")
    terminal.send("a careful answer")
    terminal.wait_for("answer: a careful answer")
    terminal.press(key)
    terminal.wait_for("I chose myself." if key == "escape" else "stopped")
    terminal.wait_gone("answer: a careful answer")
    terminal.press("up")
    terminal.wait_for(f"{PROMPT} a careful answer")
    assert "a careful answer" in (folder / ".prompt_objects" / "history").read_text()


def test_a_command_is_no_answer_and_a_path_is_one(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(ASK, text("Thank you."))
    terminal = open_()
    terminal.send("Go\r")
    terminal.wait_for("answer:")
    terminal.send("/running\r")
    terminal.wait_for("Running turns")
    terminal.wait_for("answer:")
    terminal.send("/etc/hosts\r")
    terminal.wait_for("Thank you.")
    assert results_in(openai_server, 1) == ["/etc/hosts"]


def test_several_questions_are_asked_one_after_the_other(open_: Open, openai_server: OpenAIServer) -> None:
    both = calls(("ask_human", {"question": "First?"}), ("ask_human", {"question": "Second?"}))
    openai_server.script(both, text("Thank you."))
    terminal = open_()
    terminal.send("Go\r")
    terminal.wait_for("First?")
    terminal.wait_for("answer:")
    terminal.send("one\r")
    terminal.wait_for("Second?")
    terminal.wait_until(lambda: "answer:" in terminal.lines(), "the second answer to be waited for")
    terminal.send("two\r")
    terminal.wait_for("Thank you.")
    assert results_in(openai_server, 1) == ["one", "two"]


def test_ctrl_c_at_the_question_stops_the_reply(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(ASK, text("Next."))
    terminal = open_()
    terminal.send("Go\r")
    terminal.wait_for("answer:")
    terminal.press("ctrl-c")
    terminal.wait_for("stopped")
    terminal.send("Go on\r")
    terminal.wait_for("Next.")


def test_a_dumb_terminal_asks_and_earlier_lines_are_no_answers(folder: Path, openai_server: OpenAIServer) -> None:
    write = calls(("write_file", {"path": "a.txt", "content": "Hello\n"}))
    way = [calls(("scout", {"message": "Look"})), ASK, write, text("Right."), text("We go right.")]
    openai_server.script(*way, text("Then left."), text("And up."))
    env = {"OPENAI_BASE_URL": openai_server.base_url, "OPENAI_API_KEY": "k", "TERM": "dumb"}
    command = [*PROGRAM, "--env", str(folder), "--object", "guide", "--model", "small"]
    with Terminal(command, env=env) as terminal:
        terminal.wait_for(PROMPT)
        terminal.send("Go\rAnd then?\r")
        terminal.wait_for("scout (asked by guide) asks you:")
        terminal.wait_for("answer:")
        terminal.send("2\r")
        terminal.wait_for("wants to use write_file:")
        terminal.wait_for("+Hello")
        terminal.send("This too\r")  # too soon for an answer
        terminal.wait_for("scout: write_file? [y/s/N/never]")
        terminal.send("maybe\r")
        terminal.wait_for("y: once")
        terminal.send("y\r")
        terminal.wait_for("And up.")
    assert results_in(openai_server, 2) == ["right"]
    contents = [m["content"] for m in openai_server.received[-1].body["messages"] if m["role"] == "user"]
    assert contents == ["Go", "And then?", "This too"]
    assert (folder / "a.txt").read_text() == "Hello\n"
