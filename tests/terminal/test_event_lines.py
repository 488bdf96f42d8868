"""`/bus` and `/trace` on the screen: the real program in a real terminal."""

import pytest

from tests.support.openai_server import OpenAIServer, calls, text
from tests.support.windows import MARK, Open

pytestmark = pytest.mark.terminal


@pytest.mark.parametrize("kind", ["xterm-256color", "dumb"])
def test_every_event_is_shown_until_that_is_switched_off(open_: Open, openai_server: OpenAIServer, kind: str) -> None:
    asking = calls(("reader", {"message": "Read it"}))
    openai_server.script(asking, text("It is short."), text("The reader says so."), text("Quiet now."))
    terminal = open_(env={"TERM": kind}, columns=100, rows=60)
    terminal.send("/bus\r")
    terminal.wait_for("/bus off hides them.")
    terminal.send("What is in README.md?\r")
    terminal.wait_for(" guide: answered")
    screen = terminal.text()
    expected = [
        " guide: started in ",
        ' guide: calls reader {"message": "Read it"}',
        " guide → reader: started in ",
        " guide → reader: saved: assistant: It is short.",
        " guide → reader: answered",
        " guide: reader ended in ",
    ]
    assert sorted(expected, key=screen.index) == expected
    terminal.send("/trace\r")
    terminal.wait_for(f"│ {MARK} Read it")
    terminal.send("/bus\r")
    terminal.wait_for("Events are hidden now.")
    terminal.send("Still there?\r")
    terminal.wait_for("Quiet now.")
    assert terminal.text().count("guide: answered") == 1


@pytest.mark.parametrize("kind", ["xterm-256color", "dumb"])
def test_no_event_is_shown_inside_a_reply(open_: Open, openai_server: OpenAIServer, kind: str) -> None:
    asking = calls(("reader", {"message": "Read it"}), ("reader", {"message": "Again"}))
    reply = text("First block.\n\nSecond block.\n\nThird block.", delay=0.1)
    openai_server.script(asking, reply, text("Short."), text("All done."))
    terminal = open_(env={"TERM": kind}, columns=100, rows=90)
    terminal.send("/bus\r")
    terminal.wait_for("/bus off hides them.")
    terminal.send("What is in README.md?\r")
    terminal.wait_for(" guide: answered")
    _, _, since = terminal.text().partition("First block.")
    inside, _, _ = since.partition("Third block.")
    assert "guide" not in inside.replace("reader → guide", "")
