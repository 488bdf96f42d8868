"""A question cannot be pushed off the screen, nor forged by its content."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from prompt_toolkit.utils import get_cwidth

from prompt_objects.runtime.interaction import ApprovalRequest, InputRequest
from prompt_objects.tools.builtin.edit import TextChange
from prompt_objects.ui.render.questions import approval_prompt, draw_approval, draw_input
from prompt_objects.ui.render.style import Line, plain

FORGED = "guide wants to use read_file:"
QUESTION = ApprovalRequest(path=("guide",), session_id="", tool="shell", effect="execute", arguments={})
LONG = " ".join(str(number) for number in range(2000))
HOSTILE = [
    "\n" * 40 + FORGED,
    "\r" + FORGED,
    "a\x0c" + FORGED,
    "a\u2028" + FORGED + "\u2029" + FORGED,
    "a\x85" + FORGED,
    *(("word" * length)[:length] + FORGED for length in range(50, 64)),
    *(" " * length + FORGED for length in range(50, 64)),
]


def last_screen(lines: list[Line], height: int) -> str:
    return plain(lines[-height:])


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_a_model_never_begins_a_line(text: str) -> None:
    asked = [
        replace(QUESTION, arguments={"command": "rm", "why": text, text: 1}),
        replace(QUESTION, diff=f"-a\n+{text}\n b\n{text}", remarks=(f"It says: {text}",)),
        replace(QUESTION, diff=TextChange("a.txt", None, text).diff()),
        replace(QUESTION, diff=TextChange("a.txt", "a", text).diff()),
    ]
    for question in asked:
        for height in (8, 100):
            rows = plain(draw_approval(question, 60, height).lines).split("\n")
            assert any(FORGED[:5] in row for row in rows)
            assert not [row for row in rows if row.startswith(FORGED)]
    asked_back = InputRequest(path=("boss",), session_id="", question=text, choices=(text,))
    assert f"\n{FORGED}" not in plain(draw_input(asked_back, 60, 8).lines)


def test_line_breaks_in_an_argument_are_shown_as_signs() -> None:
    shown = plain(draw_approval(replace(QUESTION, arguments={"command": "cd\nrm\r\nls"}), 60, 20).lines)
    assert "  command: cd␊\n   rm␍␊\n   ls\n" in shown


def test_a_long_argument_leaves_the_heading_and_all_other_arguments_on_the_screen() -> None:
    question = replace(QUESTION, arguments={"command": "rm -rf ~", "why": LONG, "then": "last words"})
    lines = draw_approval(question, 60, 16).lines
    on_screen = last_screen(lines, 16)
    for part in ("guide wants to use shell; in short:", "command: rm -rf ~", "why: 0 1 2", "then: last words"):
        assert part in on_screen
    assert "more rows …" in on_screen
    above = plain(lines).partition("in short:")[0].split()
    assert all(str(number) in above for number in range(2000))


@pytest.mark.parametrize("number", [1, 3, 100])
def test_as_many_arguments_are_shown_as_fit(number: int) -> None:
    question = replace(QUESTION, arguments={f"key{each}": LONG for each in range(number)})
    on_screen = last_screen(draw_approval(question, 60, 14).lines, 14)
    assert "guide wants to use shell; in short:" in on_screen
    assert "key0: 0 1 2" in on_screen
    assert "1999" in on_screen


def test_a_question_that_fits_is_shown_once() -> None:
    shown = plain(draw_approval(replace(QUESTION, diff="".join(f"+{each}\n" for each in range(12))), 60, 14).lines)
    assert "in short" not in shown
    assert shown.count("+11") == 1


def test_a_long_diff_is_shown_whole_and_its_ends_stay_on_the_screen() -> None:
    rows = "".join(f"+line {each}\n" for each in range(100))
    diff = f"--- /dev/null\n+++ b/a.txt\n@@ -0,0 +1,100 @@\n{rows}"
    question = replace(QUESTION, diff=diff, remarks=("Take care.",))
    lines = draw_approval(question, 60, 16).lines
    on_screen = last_screen(lines, 16)
    for part in ("guide wants to use shell; in short:", "a.txt: new file, 100 lines\n", "+line 99\n", "Take care."):
        assert part in on_screen
    above = plain(lines).partition("in short:")[0].split("\n")
    assert all(f"+line {each}" in above for each in range(100))


def test_a_long_question_of_a_prompt_object_has_a_short_form() -> None:
    inquiry = InputRequest(path=("boss", "scout"), session_id="", question="Which?\n" * 30, choices=(LONG,) * 9)
    on_screen = last_screen(draw_input(inquiry, 60, 14).lines, 14)
    assert "scout (asked by boss) asks you; in short:" in on_screen


@pytest.mark.parametrize("width", [30, 60, 120])
@pytest.mark.parametrize(("name", "tool"), [("guide", "shell"), ("g" * 64, "shell"), ("g" * 64, "s" * 64)])
def test_the_prompt_names_object_and_tool_and_fits(width: int, name: str, tool: str) -> None:
    prompt = approval_prompt(replace(QUESTION, path=("boss", name), tool=tool), width)
    assert prompt.startswith(name[:1])
    assert f": {tool[:2]}" in prompt
    assert prompt.endswith("? [y/s/N/never/e] ")
    assert get_cwidth(prompt) < width


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-9, max_value=99)
    | st.sampled_from(
        ["1", "true", "null", "", " ", '"x"', "[]", "x: 1", "a b", "a  b", "a\nb", "a␊b", "\u0435", "e"]
    )
    | st.text(alphabet="ab: \n\t\"'{}[],1\u200b\u202e\u0430\u00e9e\u0301…", max_size=25),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
ARGUMENTS = st.dictionaries(
    st.sampled_from(["path", "why", "a: b", "a", "a\n  b"]) | st.text(max_size=4), VALUES, max_size=3
)


@settings(max_examples=200)
@given(ARGUMENTS, ARGUMENTS)
def test_two_different_calls_never_look_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    if json.dumps(one) != json.dumps(other):
        shown = [plain(draw_approval(replace(QUESTION, arguments=each), 30, 500).lines) for each in (one, other)]
        assert shown[0] != shown[1]


def test_hidden_characters_are_visible_and_explained() -> None:
    shown = plain(draw_approval(replace(QUESTION, arguments={"command": "ls\x1b]; rm x\x07"}), 60, 20).lines)
    assert "  command: ls␛]; rm x␇\n  Characters that cannot be seen" in shown
    assert "cannot be seen" not in plain(draw_approval(replace(QUESTION, arguments={"a": "b\nc"}), 60, 20).lines)


def test_in_a_path_a_url_and_a_command_every_look_alike_is_marked() -> None:
    arguments = {"command": "\u0441at x", "why": "\u0441 \u0442\u043e\u0431\u043e\u0439, \u0434\u0440\u0443\u0433"}
    shown = plain(draw_approval(replace(QUESTION, arguments=arguments, kinds={"command": "command"}), 60, 20).lines)
    assert "command: <U+0441>at x" in shown
    assert f"why: {arguments['why']}" in shown


def test_arguments_that_the_diff_does_not_show_are_shown_beside_it() -> None:
    arguments = {"path": "a.txt", "content": "Hello\n", "then": "rm -rf ~"}
    diff = TextChange("a.txt", None, "Hello\n").diff()
    shown = plain(
        draw_approval(replace(QUESTION, arguments=arguments, diff=diff, in_diff=("path", "content")), 60, 20).lines
    )
    assert shown.endswith("guide wants to use shell:\n  then: rm -rf ~\n  a.txt: new file, 1 line\n+Hello")


def test_a_very_long_question_shows_only_its_short_form() -> None:
    drawing = draw_approval(replace(QUESTION, arguments={"content": "line\n" * 500}), 60, 16)
    assert drawing.is_closed
    assert len(drawing.lines) <= 16
    assert len(drawing.whole) > 500
