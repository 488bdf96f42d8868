"""Two windows on one session: the real program in two real terminals."""

import signal
import threading

import pytest

from tests.support.openai_server import Behaviour, Exchange, OpenAIServer, calls, text
from tests.support.terminal import Terminal
from tests.support.windows import MARK, PROMPT, Open

pytestmark = pytest.mark.terminal


@pytest.fixture
def gate() -> threading.Event:
    """An event that lets the response to ann continue."""
    return threading.Event()


def when_open(gate: threading.Event, answer: Behaviour) -> Behaviour:
    """Answer when the gate is open."""

    def behave(exchange: Exchange) -> None:
        while not gate.is_set():
            exchange.pause(0.02)
        answer(exchange)

    return behave


@pytest.fixture
def ann(open_: Open, openai_server: OpenAIServer, gate: threading.Event) -> Terminal:
    """A window that waits for an answer."""
    openai_server.script(when_open(gate, text("The first answer.")), text("The second answer."))
    window = open_(env={"LOGNAME": "ann"})
    window.send("Hello\r")
    window.wait_until(lambda: bool(openai_server.received), "the request")
    return window


@pytest.fixture
def ben(ann: Terminal, open_: Open) -> Terminal:
    """A second window on the same session, whose message was refused."""
    del ann
    window = open_(env={"LOGNAME": "ben"})
    window.send("Me too\r")
    window.wait_for("Up puts your message back into the input.")
    wait_for_line(window, "")
    return window


def wait_for_line(window: Terminal, typed: str) -> None:
    """Wait until the input line has this text."""
    window.wait_until(
        lambda: window.text().splitlines()[-2:-1] == [f"{PROMPT} {typed}".rstrip()], f"{typed} in the line"
    )


def test_up_and_enter_send_a_refused_message_again(ben: Terminal, ann: Terminal, gate: threading.Event) -> None:
    ben.wait_for("guide · Default · in use by ann ·")
    gate.set()
    ben.wait_for("The first answer.")
    ben.wait_gone("in use by ann ·")
    ben.press("up")
    wait_for_line(ben, "Me too")
    ben.press("enter")
    ben.wait_for("The second answer.")
    ann.wait_for("The second answer.")


def test_wait_sends_the_message_once_the_session_is_free(ben: Terminal, ann: Terminal, gate: threading.Event) -> None:
    ben.send("/wait\r")
    ben.wait_for("Ctrl-C stops waiting")
    gate.set()
    ben.wait_for("The second answer.")
    screen = ben.text()
    assert screen.index("first answer.") < screen.rindex(f"{PROMPT} Me too") < screen.index("second answer.")
    ann.wait_for("from another process")
    ann.wait_for("The second answer.")
    assert f"{PROMPT} Me too" in ann.text()


def test_ctrl_c_stops_waiting_and_gives_the_message_back(ben: Terminal, gate: threading.Event) -> None:
    ben.send("/wait\r")
    ben.wait_for("Ctrl-C stops waiting")
    ben.press("ctrl-c")
    wait_for_line(ben, "Me too")
    ben.press("ctrl-c")
    ben.send("/wait And this\r")
    gate.set()
    ben.wait_for("The second answer.")
    assert f"{PROMPT} And this" in ben.text()


def test_branch_sends_the_message_in_a_copy(
    ben: Terminal, ann: Terminal, gate: threading.Event, openai_server: OpenAIServer
) -> None:
    ben.send("/branch\r")
    ben.wait_for("Session Default branch, a branch with 0 messages.")
    ben.wait_for("The second answer.")
    assert openai_server.received[-1].body["messages"][1:] == [{"role": "user", "content": "Me too"}]
    ben.wait_for("guide · Default branch · 2 messages")
    gate.set()
    ann.wait_for("The first answer.")
    assert "Me too" not in ann.text()


def test_watch_shows_new_messages_until_the_session_is_free(ben: Terminal, gate: threading.Event) -> None:
    ben.send("/watch\r")
    ben.wait_for("Watching Default, in use by ann")
    gate.set()
    ben.wait_for("Default is free.")
    assert ben.text().index("Watching") < ben.text().index("first answer.") < ben.text().index("is free.")
    wait_for_line(ben, "Me too")


def test_enter_ends_watching(ben: Terminal) -> None:
    ben.send("/watch\r")
    ben.wait_for("Watching Default")
    ben.press("enter")
    wait_for_line(ben, "Me too")


def test_a_window_that_is_killed_frees_the_session(ben: Terminal, ann: Terminal) -> None:
    ann.process.kill(signal.SIGKILL)
    ann.process.wait()
    ben.press("up", "enter")
    ben.wait_for("The second answer.")


def test_a_session_deleted_during_an_answer_is_restored_and_reported(
    ben: Terminal, ann: Terminal, gate: threading.Event
) -> None:
    ben.send("/session delete\r")
    ben.wait_for("Default is in use by ann (process")
    ben.send("y\r")
    ben.wait_for("Session Default is in the trash")
    gate.set()
    ann.wait_for("The first answer.")
    ann.wait_for("! Default was deleted by another process during this turn;")
    ann.wait_for("as Default 2.")
    ann.wait_for("guide · Default 2 · 2 messages")


def test_a_conversation_between_prompt_objects_can_be_watched(
    open_: Open, openai_server: OpenAIServer, gate: threading.Event
) -> None:
    asked = calls(("reader", {"message": "What is there?"}))
    openai_server.script(asked, when_open(gate, text("A tree.")), text("Done."))
    open_().send("Ask the reader\r")
    ben = open_()
    ben.wait_until(lambda: len(openai_server.received) == 2, "the reader to be asked")
    ben.send("/watch Default (guide)\r")
    ben.wait_for("What is there?")
    gate.set()
    ben.wait_for("Default (guide) is free.")
    assert "A tree." in ben.text()


def test_new_messages_do_not_disturb_the_input(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(text("An answer for ann."), text("An answer for ben."))
    ann, ben = open_(), open_()
    ben.send("half a mess")
    wait_for_line(ben, "half a mess")
    ann.send("Hello\r")
    ben.wait_for("An answer for ann.")
    wait_for_line(ben, "half a mess")
    ben.send("age\r")
    ben.wait_for("An answer for ben.")
    sent = [message["content"] for message in openai_server.received[-1].body["messages"][1:]]
    assert sent == ["Hello", "An answer for ann.", "half a message"]
    assert ben.text().count("An answer for ann.") == 1


def test_a_dumb_terminal_can_watch_and_wait(ann: Terminal, open_: Open, gate: threading.Event) -> None:
    ben = open_(env={"TERM": "dumb"})
    ben.send("Me too\n")
    ben.wait_for("is in use by ann (process")
    ben.send("/watch\n")
    ben.wait_for("Watching")
    gate.set()
    ben.wait_for("Default is free.")
    ben.send("/wait\n")
    ben.wait_for("The second answer.")
    ann.wait_for("The second answer.")


def test_leaving_directly_after_wait_works(ben: Terminal) -> None:
    ben.send("/wait Me too\r\x04\x04")
    assert ben.wait_for_exit() == 0


def test_a_waiting_message_goes_to_its_object_after_a_switch(ben: Terminal, gate: threading.Event) -> None:
    ben.send("/wait Me too\r")
    ben.wait_for("Waiting until")
    ben.send("/po reader\r")
    ben.wait_for("Switched to reader")
    gate.set()
    ben.wait_for("The second answer.")
    _, _, since = ben.text().partition("Switched to reader")
    before, _, _ = since.partition("\nThe second answer.")
    assert f"\n{PROMPT} Me too\n" in before
    assert [line for line in before.splitlines() if line in ("guide", "reader")][-1:] == ["guide"]


def test_a_cancelled_waiting_message_comes_back_after_a_switch(ben: Terminal) -> None:
    ben.send("/wait Me too\r")
    ben.wait_for("Waiting until")
    ben.send("/po reader\r")
    ben.wait_for("Switched to reader")
    ben.press("ctrl-c")
    ben.wait_until(lambda: ben.text().splitlines()[-2:-1] == [f"reader {MARK} Me too"], "the message in the line")
