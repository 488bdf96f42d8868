"""The user steers running turns: sends messages to them, and stops one of them."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prompt_objects import Environment
from tests.support.openai_server import Exchange, OpenAIServer, calls, error, hang, text
from tests.support.terminal import Terminal
from tests.support.windows import MARK, Open, make_environment, windows

pytestmark = pytest.mark.terminal

SLOW = " ".join(str(number) for number in range(60))


def contents(server: OpenAIServer) -> list[str]:
    """Return the contents of the last request to the model."""
    asked = [received for received in server.received if received.path.endswith("/completions")]
    return [str(message.get("content")) for message in asked[-1].body["messages"]]


def test_a_message_typed_during_a_turn_is_shown_and_answered(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(text(SLOW, delay=0.03), text("In blue."))
    terminal = open_()
    terminal.send("Paint\r")
    terminal.wait_for("3 4 5")
    terminal.send("in blue please\r")
    terminal.wait_for("you → guide: in blue please")
    terminal.wait_for("In blue.")
    terminal.wait_gone("you → guide: in blue please")
    lines = [line.strip() for line in terminal.lines()]
    assert lines.index("you → guide") < lines.index("in blue please") < lines.index("In blue.")
    assert contents(openai_server)[-1] == "in blue please"


def test_a_delegate_is_steered_by_its_name_and_stopped_on_its_own(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(
        calls(("reader", {"message": "Read it"})), text(SLOW, delay=0.03), hang(), text("The reader was stopped.")
    )
    terminal = open_()
    terminal.send("Go\r")
    terminal.wait_for("3 4 5")
    terminal.send("@reader only the title\r")
    terminal.wait_for("you → reader")
    terminal.wait_until(lambda: contents(openai_server)[-1] == "only the title", "the word to arrive")
    terminal.send("/running\r")
    terminal.wait_for("guide → reader")
    terminal.send("/stop reader\r")
    terminal.wait_for("The reader was stopped.")
    assert contents(openai_server)[-1].startswith("Error: The user stopped reader before it replied.")


def test_ctrl_c_in_the_session_of_a_delegate_stops_only_its_turn(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(calls(("reader", {"message": "Read it"})), hang(), text("Without it, then."))
    terminal = open_()
    terminal.send("Go\r")
    terminal.wait_for("reader is thinking")
    terminal.send("/po reader\r")
    terminal.wait_for(f"reader {MARK}")
    terminal.press("ctrl-c")
    terminal.wait_for("Without it, then.")


def answer_of_each(exchange: Exchange) -> None:
    """Respond as a guide that calls both others, a scout that wants to write, and a reader that never replies."""
    messages = exchange.received.body["messages"]
    match messages[0]["content"], messages[-1]["role"]:
        case "You guide.", "user":
            calls(("reader", {"message": "Read"}), ("scout", {"message": "Look"}))(exchange)
        case "You guide.", _:
            text("All done.")(exchange)
        case "You look.", "user":
            calls(("write_file", {"path": "s.txt", "content": "S"}))(exchange)
        case "You look.", _:
            text(f"Scouted: {messages[-1]['content']}")(exchange)
        case _:
            hang()(exchange)


@pytest.fixture
def with_two(tmp_path: Path) -> Iterator[Callable[[str], Terminal]]:
    """Yield the terminal in the reader's session while a scout with some capabilities has a turn as well."""
    make_environment(tmp_path)
    objects = tmp_path / "objects"
    objects.joinpath("guide.yaml").write_text("name: guide\nprompt: You guide.\ncapabilities: [reader, scout]\n")

    with OpenAIServer(always=answer_of_each) as server, windows(tmp_path, server) as open_:

        def opened(scout: str) -> Terminal:
            objects.joinpath("scout.yaml").write_text(f"name: scout\n{scout}\n")
            terminal = open_()
            terminal.send("Go\r")
            terminal.wait_for("reader is thinking")
            terminal.send("/po reader\r")
            terminal.wait_for("Switched to reader")
            return terminal

        yield opened


def test_ctrl_c_at_the_question_of_another_object_is_a_no_and_stops_nothing(
    with_two: Callable[[str], Terminal], tmp_path: Path
) -> None:
    terminal = with_two("prompt: You look.\ncapabilities: [write_file]")
    terminal.wait_for("scout: write_file? [y/s/N/never/e]")
    terminal.press("ctrl-c")
    terminal.wait_for("Scouted: Error: The user did not allow write_file.")
    terminal.wait_for(f"reader {MARK}")
    assert not (tmp_path / "s.txt").exists()
    assert "stopped" not in terminal.text()
    terminal.press("ctrl-c")
    terminal.wait_for("All done.")


def test_the_third_ctrl_c_in_the_session_of_a_delegate_stops_everything(with_two: Callable[[str], Terminal]) -> None:
    terminal = with_two("prompt: You never answer.")
    terminal.wait_for("scout is thinking")
    terminal.press("ctrl-c")
    terminal.wait_for("stopped")
    terminal.press("ctrl-c")
    terminal.wait_for("Ctrl-C again stops all")
    assert "scout is thinking" in terminal.text()
    terminal.press("ctrl-c")
    terminal.wait_gone("scout is thinking")


def test_a_mention_sends_to_that_object_and_the_user_stays(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(text("I read."))
    terminal = open_()
    terminal.send("@reader Hello\r")
    terminal.wait_for("reader\nI read.")
    terminal.wait_for(f"guide {MARK}")
    assert contents(openai_server) == ["You read.", "Hello"]


def test_a_command_refused_during_a_turn_stays_in_the_input(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(hang())
    terminal = open_()
    terminal.send("Go\r")
    terminal.wait_for("guide is thinking")
    terminal.send("/session clear\r")
    terminal.wait_for("Not now: still replying: Ctrl-C stops it.")
    terminal.wait_for(f"guide {MARK} /session clear")


def test_an_interrupted_session_can_be_resumed(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(calls(("reader", {"message": "Read it"})), hang(), text("It says: read me."))
    terminal = open_()
    terminal.send("Go\r")
    terminal.wait_for("reader is thinking")
    terminal.process.kill(signal.SIGKILL)
    terminal.process.wait()
    again = open_()
    again.wait_for("/continue resumes it")
    again.send("/continue\r")
    again.wait_for("It says: read me.")
    assert "whether it took effect is unknown" in contents(openai_server)[-1]


def test_a_command_typed_at_the_start_shows_its_session_once(open_: Open, tmp_path: Path) -> None:
    with Environment.open(tmp_path, environ={}) as environment:
        call = {"id": "1", "type": "function", "function": {"name": "read_file", "arguments": "{}"}}
        environment["guide"].session_manager.current().append(
            {"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "", "tool_calls": [call]}
        )
    terminal = open_()
    terminal.send("/session branch\r")
    terminal.wait_for("small: http://")  # the last line of the start
    terminal.wait_until(lambda: "/continue resumes it" in terminal.text().partition("a branch")[2], "the recap")
    assert terminal.text().partition("a branch")[2].count("Where is it?") == 1


def test_a_failed_delegate_is_not_running(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(
        calls(("reader", {"message": "Read it"})), error(400, "no such thing"), text(SLOW, delay=0.05)
    )
    terminal = open_()
    terminal.send("Go\r")
    terminal.wait_for("no such thing")
    terminal.wait_for("3 4 5")
    assert "reader is" not in terminal.text()
    terminal.send("/running\r")
    terminal.wait_for("Running turns")
    assert "guide → reader  guide" not in terminal.text()


@pytest.mark.parametrize("key", ["\x03", "\x04\x04"], ids=["Ctrl-C", "Ctrl-D twice"])
def test_a_retry_can_be_stopped_before_it_starts(open_: Open, openai_server: OpenAIServer, key: str) -> None:
    openai_server.script(text("Yes."), hang())
    terminal = open_()
    terminal.send("Hello\r")
    terminal.wait_for("Yes.")
    terminal.wait_gone("guide is")
    terminal.send(f"/retry\r{key}")
    if key != "\x03":
        assert terminal.wait_for_exit() == 0
    else:
        terminal.wait_for("/retry\n")
        terminal.wait_gone("guide is thinking")
        terminal.send("/running\r")
        terminal.wait_for("none")


def test_another_object_answers_under_its_name_on_a_dumb_terminal(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(text("I read."), text("I guide."))
    terminal = open_(env={"TERM": "dumb"})
    terminal.send("@reader Hello\n")
    terminal.wait_for("reader\nI read.")
    terminal.send("Hello\n")
    terminal.wait_for("I guide.")
    assert "guide\nI guide." not in terminal.text()
