"""The input line in a real terminal: several lines, pastes, history, editor, keys."""

import stat
import time
from pathlib import Path

import pytest

from tests.support.openai_server import OpenAIServer, text
from tests.support.terminal import PROGRAM, Terminal
from tests.support.windows import PROMPT, Open

pytestmark = pytest.mark.terminal


SLOW = " ".join(f"word{number}" for number in range(200))


@pytest.mark.parametrize("new_line", ["\x1b\r", "\n", "\\\r"])
def test_a_message_can_have_several_lines(open_: Open, openai_server: OpenAIServer, new_line: str) -> None:
    openai_server.script(text("Fine."))
    terminal = open_()
    terminal.send("one")
    terminal.wait_for(f"{PROMPT} one")
    terminal.send(new_line)
    time.sleep(0.1)
    terminal.send("two\r")
    terminal.wait_for("Fine.")
    assert openai_server.received[-1].body["messages"][-1]["content"] == "one\ntwo"


def test_a_paste_is_not_sent_until_enter(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(text("Fine."))
    terminal = open_()
    terminal.paste("one\r\ntwo\n/quit\n")
    terminal.wait_for("/quit")
    terminal.press("enter")
    terminal.wait_for("Fine.")
    assert openai_server.received[-1].body["messages"][-1]["content"] == "one\ntwo\n/quit\n"


def test_ctrl_c_clears_the_line_and_up_brings_it_back(open_: Open, folder: Path) -> None:
    terminal = open_()
    terminal.send("half a thought")
    terminal.wait_for("half a thought")
    terminal.press("ctrl-c")
    terminal.wait_gone("half a thought")
    terminal.press("ctrl-c")
    terminal.wait_for("Ctrl-D leaves")
    terminal.press("up")
    terminal.wait_for("half a thought")
    terminal.press("ctrl-c")
    terminal.wait_gone("half a thought")
    terminal.press("ctrl-d")
    assert terminal.wait_for_exit() == 0
    assert stat.S_IMODE((folder / ".prompt_objects" / "history").stat().st_mode) == 0o600
    again = open_()
    again.press("up")
    again.wait_for("half a thought")


def test_earlier_lines_are_searched(open_: Open) -> None:
    terminal = open_()
    for line in ("needle one", "hay two"):
        terminal.send(line)
        terminal.wait_for(line)
        terminal.press("ctrl-c")
        terminal.wait_gone(line)
    terminal.press("ctrl-r")
    terminal.send("need")
    terminal.wait_for(f"{PROMPT} needle one")
    terminal.press("enter")
    terminal.send("!")
    terminal.wait_for("!")
    assert terminal.text().count("needle") == 1


def test_the_line_can_be_written_in_an_editor(open_: Open, folder: Path) -> None:
    editor = folder / "editor"
    editor.write_text('#!/bin/sh\necho " and more" >> "$1"\n')
    editor.chmod(0o700)
    terminal = open_(env={"EDITOR": str(editor), "VISUAL": str(editor)})
    terminal.send("a thought")
    terminal.wait_for("a thought")
    terminal.send("\x18\x05")
    terminal.wait_for("and more")


@pytest.mark.parametrize(
    ("editor", "error"),
    [('ed "x', "No closing quotation"), ("no-such-editor", "cannot be run"), ("false", "ended with code 1")],
)
def test_a_failing_editor_is_reported_and_the_input_is_kept(open_: Open, editor: str, error: str) -> None:
    terminal = open_(env={"EDITOR": editor, "VISUAL": ""})
    terminal.send("a thought")
    terminal.wait_for("a thought")
    terminal.send("\x18\x05")
    terminal.wait_for(error)
    assert f"{PROMPT} a thought" in terminal.text()
    terminal.send(" more")
    terminal.wait_for("a thought more")


def test_a_long_paste_is_one_word_of_the_input_until_it_is_sent(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(text("Fine."))
    pasted = "\n".join(f"line {number}" for number in range(300))
    terminal = open_(columns=40)
    terminal.send("the quick brown fox jumps over: ")
    terminal.paste("dropped\n" * 20)
    terminal.wait_for("[20 lines pasted]")
    terminal.press("backspace")
    terminal.wait_gone("pasted]")
    terminal.paste(pasted)
    terminal.send("?")
    terminal.wait_for("[300 lines pasted]?")
    assert f"{PROMPT} the quick brown fox jumps over:\n        [300 lines pasted]?" in terminal.text()
    terminal.press("enter")
    terminal.wait_for("Fine.")
    assert openai_server.received[-1].body["messages"][-1]["content"] == f"the quick brown fox jumps over: {pasted}?"
    terminal.press("up")
    terminal.wait_for("line 299?")


def test_what_is_typed_before_the_first_prompt_is_sent_by_its_enter(
    folder: Path, openai_server: OpenAIServer
) -> None:
    openai_server.script(text("Fine."))
    started = {"PYTHONHASHSEED": "0"}  # a forked program would not have the terminal yet
    served = {"OPENAI_BASE_URL": openai_server.base_url, "OPENAI_API_KEY": "k", **started}
    with Terminal([*PROGRAM, "--env", str(folder), "--object", "guide", "--model", "small"], env=served) as terminal:
        terminal.send("Hello\r")
        terminal.wait_for("Fine.")
        terminal.wait_for(f"{PROMPT} Hello")
    assert openai_server.received[-1].body["messages"][-1]["content"] == "Hello"


def test_hidden_characters_of_a_paste_are_shown_and_sent_unchanged(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(text("Fine."))
    terminal = open_()
    pasted = "a\u202egnp.exe\u2066 \u200b\u2028 z"
    terminal.paste(pasted)
    terminal.wait_for("a\ufffdgnp.exe\ufffd \ufffd\ufffd z")
    terminal.press("enter")
    terminal.wait_for("Fine.")
    assert openai_server.received[-1].body["messages"][-1]["content"] == pasted
    for hidden in "\u202e\u2066\u200b\u2028":
        assert hidden.encode() not in terminal.raw


def test_a_huge_paste_is_sent_whole_and_not_printed_whole(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(text("Fine."))
    terminal = open_()
    pasted = "0123456789 abcdef\n" * 30_000
    terminal.paste(pasted)
    start = time.monotonic()
    terminal.press("enter")
    terminal.wait_for("Fine.")
    assert time.monotonic() - start < 5
    assert openai_server.received[-1].body["messages"][-1]["content"] == pasted
    assert "… 29961 lines …" in terminal.text()
    assert len(terminal.text().splitlines()) < 60


def test_keys_work_while_a_huge_answer_is_drawn(open_: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(text("```\n" + "x = 1\n" * 20_000 + "```\n"), text("Fine."))
    terminal = open_()
    terminal.send("Hello\r")
    terminal.wait_for("x = 1")
    start = time.monotonic()
    terminal.send("typed")
    terminal.wait_until(lambda: f"{PROMPT} typed" in "\n".join(terminal.lines()), "what is typed")
    assert time.monotonic() - start < 2


def test_vi_keys_work_if_configured(open_: Open) -> None:
    terminal = open_(env={"PROMPT_OBJECTS_EDITING_MODE": "vi"})
    terminal.send("one two")
    terminal.wait_for("one two")
    terminal.press("escape")
    time.sleep(0.2)
    terminal.send("0dw")
    terminal.wait_for(f"{PROMPT} two")


def test_commands_are_completed_with_their_summary(open_: Open) -> None:
    terminal = open_()
    terminal.send("/ses")
    terminal.wait_for("Show the current session")
    terminal.press("escape")
    terminal.wait_gone("Show the current session", timeout=1)
    assert f"{PROMPT} /ses" in terminal.text()
    terminal.send("sion re")
    terminal.wait_for("/session rename")
    terminal.press("down", "down", "enter")
    terminal.wait_for(f"{PROMPT} /session rename")
    terminal.send("Travels\r")
    terminal.wait_for("is now called Travels")
    terminal.wait_for("guide · Travels")
