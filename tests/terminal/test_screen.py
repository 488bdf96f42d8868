"""The line interface as the user sees it: the real program in a real terminal."""

import fcntl
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.openai_server import OpenAIServer, calls, chunk, error, stream, text
from tests.support.terminal import PROGRAM, Terminal
from tests.support.windows import MARK, PROMPT, Open

pytestmark = pytest.mark.terminal


SLOW = " ".join(f"word{number}" for number in range(200))


def stored(folder: Path) -> list[dict[str, Any]]:
    """Return the messages of the guide's session."""
    files = sorted((folder / ".prompt_objects" / "sessions").glob("0*.json"))
    sessions = [json.loads(file.read_text()) for file in files]
    return [message for session in sessions if session["po_name"] == "guide" for message in session["history"]]


def test_a_reply_is_shown_while_it_streams_and_once_at_the_end(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(text("First **bold** words.\n\nThen " + "more " * 60 + "end.", delay=0.02))
    terminal = open_()
    terminal.send("Hello")
    terminal.press("enter")
    terminal.wait_for("First bold words.")
    assert "end." not in terminal.text()
    assert "guide is writing" in terminal.text()
    terminal.wait_for("end.")
    terminal.wait_gone("guide is writing")
    assert f"{PROMPT} Hello" in terminal.text()
    assert terminal.text().count("First bold words.") == 1
    terminal.wait_for("2 messages · small · 15 tokens")


def test_ctrl_c_stops_a_reply_and_keeps_its_text(open_: Open, openai_server: OpenAIServer, folder: Path) -> None:
    openai_server.script(text(SLOW, delay=0.02), text("Second answer."))
    terminal = open_()
    terminal.send("Hello\r")
    terminal.wait_for("word9")
    terminal.press("ctrl-c")
    terminal.wait_for("■ stopped")
    assert "word9" in terminal.text()
    assert stored(folder)[-1]["interrupted"] == "cancelled"
    terminal.send("Again\r")
    terminal.wait_for("Second answer.")


def test_a_message_stopped_before_it_is_saved_is_not_lost(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(text("An answer."), text("An answer."))
    terminal = open_()
    terminal.send("Hello\r\x03")
    terminal.wait_until(
        lambda: f"{PROMPT} Hello" in terminal.text().splitlines()[-2:-1] or "■ stopped" in terminal.text(),
        "the message back in the line, or saved",
    )
    terminal.send("?\r")
    terminal.wait_for("An answer.")


def test_a_message_sent_during_a_stopped_reply_is_in_the_history(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(text(SLOW, delay=0.01), text("Second answer."))
    terminal = open_()
    terminal.send("Hello\r")
    terminal.wait_for("word3")
    terminal.send("and another thing\r")
    terminal.wait_for("you → guide: and another thing")
    terminal.press("ctrl-c")
    terminal.wait_for("■ stopped")
    terminal.send("Well?\r")
    terminal.wait_for("Second answer.")
    assert openai_server.received[-1].body["messages"][-1]["content"] == "and another thing\n\nWell?"


def test_ctrl_d_during_a_reply_asks_then_stops_it_and_leaves(
    open_: Open, openai_server: OpenAIServer, folder: Path
) -> None:
    openai_server.script(text(SLOW, delay=0.02))
    terminal = open_()
    terminal.send("Hello\r")
    terminal.wait_for("word5")
    terminal.press("ctrl-d")
    terminal.wait_for("Leave? Ctrl-D again")
    terminal.press("ctrl-d")
    assert terminal.wait_for_exit() == 0
    assert "word5" in stored(folder)[-1]["content"]


def test_leaving_does_not_wait_for_a_blocked_backup(open_: Open, folder: Path) -> None:
    lock = folder / ".prompt_objects" / "backups" / "sessions" / ".lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as another:
        fcntl.flock(another, fcntl.LOCK_EX)
        terminal = open_()
        terminal.wait_for("small: http")
        time.sleep(0.2)
        terminal.send("/quit\r")
        assert terminal.wait_for_exit(5) == 0
    assert list(lock.parent.iterdir()) == [lock]


def test_a_confirmation_is_answered_before_the_action(open_: Open) -> None:
    terminal = open_()
    terminal.send("/session delete\r")
    terminal.wait_for("[y/N]")
    terminal.press("enter")
    terminal.wait_for("Nothing was changed.")
    terminal.send("/session delete\r")
    terminal.wait_until(lambda: terminal.text().count("[y/N]") == 2, "the question")
    terminal.send("y\r")
    terminal.wait_for("is in the trash")


def test_errors_are_shown_and_the_message_is_not_lost(open_: Open, openai_server: OpenAIServer) -> None:
    terminal = open_()
    terminal.send("/sesions\r")
    terminal.wait_for("Did you mean")
    openai_server.script(error(401, "Incorrect API key"))
    terminal.send("Hello\r")
    terminal.wait_for("Check OPENAI_API_KEY.")
    terminal.press("up")
    terminal.wait_until(lambda: terminal.text().count("Hello") == 2, "the message to send again")


def test_delegations_are_shown_in_full(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(
        calls(("reader", {"message": "What is *in* it?"})),
        calls(("read_file", {"path": "README.md"})),
        text("A **title**."),
        text("The reader says: a title."),
    )
    terminal = open_()
    terminal.send("What is in README.md?\r")
    terminal.wait_for("The reader says: a title.")
    screen = terminal.text()
    for part in ["guide → reader\n│ What is in it?", '│ → read_file path="README.md"', "reader → guide\n│ A title."]:
        assert part in screen


def test_a_session_continues_where_it_ended(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(text("The first answer."))
    terminal = open_()
    terminal.send("The first question\r")
    terminal.wait_for("The first answer.")
    terminal.press("ctrl-d")
    terminal.wait_for_exit()
    again = open_()
    again.wait_for(f"{PROMPT} The first question")
    again.wait_for("The first answer.")


def test_forty_columns_and_a_change_of_size_in_the_middle(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(text(SLOW, delay=0.01))
    terminal = open_(columns=40, rows=12)
    assert all(len(line) <= 40 for line in terminal.lines())
    terminal.send("Hello\r")
    terminal.wait_for("word20 ")
    terminal.resize(70, 20)
    terminal.wait_for("word120 ")
    terminal.resize(40, 10)
    terminal.wait_for("word199", timeout=20)
    terminal.wait_gone("guide is writing")
    terminal.wait_until(
        lambda: (
            PROMPT in terminal.text().splitlines()[-2]
            and terminal.text().splitlines()[-1].startswith("guide · Default · 2 messages")
        ),
        "the prompt and the toolbar at the end",
    )


def test_no_color_means_no_colour(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(text("Some `code` and\n\n```python\nif x: pass\n```\n"))
    terminal = open_(env={"NO_COLOR": "1"})
    terminal.send("Hello\r")
    terminal.wait_for("if x: pass")
    terminal.wait_for("2 messages")
    colours = {cell.fg for row in terminal.screen.buffer.values() for cell in row.values()}
    assert colours == {"default"}


def test_text_is_as_wide_as_the_user_has_set(open_: Open, openai_server: OpenAIServer, tmp_path: Path) -> None:
    (tmp_path / "config" / "prompt_objects").mkdir(parents=True)
    (tmp_path / "config" / "prompt_objects" / "settings.yaml").write_text("prose_width: 30\n")
    openai_server.script(text("word " * 40 + "end."))
    terminal = open_(env={"XDG_CONFIG_HOME": str(tmp_path / "config")})
    terminal.send("Hello\r")
    terminal.wait_for("end.")
    assert 20 < max(len(row.rstrip()) for row in terminal.lines() if row.startswith("word ")) <= 30


def test_hostile_text_cannot_control_the_terminal(open_: Open, openai_server: OpenAIServer) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\x1b[Hgone \x9b2J [x](http://y/&#27;[2J) `\x1b[31m` ok\u202e "
    openai_server.script(calls(("read_file", {"path": evil}), content=evil + "\n\n"), text(evil + "the end"))
    terminal = open_()
    terminal.send("Hello\r")
    terminal.wait_for("the end")
    assert f"{PROMPT} Hello" in "\n".join(terminal.lines())
    assert terminal.screen.title == ""
    assert b"owned" not in terminal.raw.replace(b"]0;owned", b"")
    assert b"\x1b[2J" not in terminal.raw


def test_a_dumb_terminal_gets_the_same_without_cursor_movement(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(
        calls(("reader", {"message": "What is in it?"})),
        text("A title."),
        text("The reader says: a title."),
        text(SLOW, delay=0.02),
    )
    terminal = open_(env={"TERM": "dumb"})
    terminal.send("one\\\ntwo\n")
    terminal.wait_for("The reader says: a title.")
    assert "guide → reader" in terminal.text()
    terminal.send("/session new Other\n")
    terminal.wait_for("New session Other.")
    terminal.send("Hello\n")
    terminal.wait_for("word5")
    terminal.press("ctrl-c")
    terminal.wait_for("■ stopped")
    terminal.send("/session delete\n")
    terminal.wait_for("[y/N]")
    terminal.send("n\n")
    terminal.wait_for("Nothing was changed.")
    terminal.press("ctrl-d")
    assert terminal.wait_for_exit() == 0
    assert b"\x1b" not in terminal.raw


def test_ctrl_c_on_a_dumb_terminal_drops_the_message_and_confirms_nothing(
    open_: Open, openai_server: OpenAIServer
) -> None:
    openai_server.script(text("Fine."))
    terminal = open_(env={"TERM": "dumb"})
    terminal.send("delete everything\\\n")
    terminal.wait_for("…")
    terminal.press("ctrl-c")
    terminal.wait_for("Ctrl-D leaves")
    terminal.send("Hello\n")
    terminal.wait_for("Fine.")
    assert openai_server.received[-1].body["messages"][-1]["content"] == "Hello"
    terminal.send("/session delete\n")
    terminal.wait_for("[y/N]")
    terminal.press("ctrl-c")
    terminal.wait_for("Nothing was changed.")


def test_an_answer_in_odd_markdown_does_not_break_the_session(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(text("[](http://x)"), text("Fine."))
    terminal = open_()
    terminal.send("Hello\r")
    terminal.wait_for("(http://x)")
    terminal.wait_for("2 messages")
    terminal.press("ctrl-d")
    terminal.wait_for_exit()
    again = open_()
    again.wait_for("(http://x)")
    again.send("Hello\r")
    again.wait_for("Fine.")


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
@pytest.mark.parametrize(
    ("sizes", "prefix"),
    [([(60, 24)], []), ([(140, 24)], []), ([(100, 10), (100, 40)], []), ([(60, 24)], ["--block-signal=WINCH"])],
    ids=["narrow", "wide", "low", "told late"],
)
def test_a_terminal_that_wraps_its_lines_again_keeps_no_copies(
    folder: Path, openai_server: OpenAIServer, sizes: list[tuple[int, int]], prefix: list[str]
) -> None:
    paragraphs = "\n\n".join(f"para{number}. " + "lorem ipsum dolor sit " * 9 for number in range(10))
    halves = (chunk({"role": "assistant", "content": half}) for half in (paragraphs[:900], paragraphs[900:]))
    openai_server.script(stream(*halves, chunk(finish_reason="stop"), delay=1.2))

    def tmux(*words: str) -> str:
        command = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def wait_for(expected: str) -> str:
        end = time.monotonic() + 15
        while expected not in (screen := tmux("capture-pane", "-p", "-J", "-S", "-500")):
            assert time.monotonic() < end, screen
            time.sleep(0.05)
        return screen

    served = [f"OPENAI_BASE_URL={openai_server.base_url}", "OPENAI_API_KEY=k"]
    program = [*PROGRAM, "--env", str(folder), "--object", "guide", "--model", "small"]
    tmux("new-session", "-d", "-x", "100", "-y", "24", "env", *prefix, *served, *program)
    try:
        wait_for(PROMPT)
        tmux("send-keys", "Hello", "Enter")
        wait_for("para3.")
        for columns, rows in sizes:
            tmux("resize-window", "-x", str(columns), "-y", str(rows))
            time.sleep(0.3)
        screen = wait_for("2 messages")
    finally:
        tmux("kill-server")
    assert [screen.count(f"para{number}.") for number in range(10)] == [1] * 10
    assert screen.count(PROMPT) == 2
    assert "writing" not in screen


def test_the_prompt_is_there_before_anything_heavy_is_imported(folder: Path) -> None:
    command = [PROGRAM[0], "-X", "importtime", *PROGRAM[1:], "--env", str(folder), "--model", "rehearsal"]
    with Terminal(command, columns=200, rows=50) as terminal:
        terminal.wait_for(MARK)
        before = terminal.raw.partition(MARK.encode())[0]
    assert b"prompt_objects.chat.chat" in before
    for heavy in (b"rich", b"openai", b"markdown_it"):
        assert b" " + heavy + b"\r\n" not in before
