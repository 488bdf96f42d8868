"""A question cannot be pushed off the screen, nor forged by its content."""

import pytest
from msgspec.structs import replace
from prompt_toolkit.utils import get_cwidth

from prompt_objects.runtime.interaction import ApprovalRequest, InputRequest
from prompt_objects.ui.question import approval_lines, approval_prompt, input_lines
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
        replace(QUESTION, diff=f"-a\n+{text}\n b\n".replace("\n" * 40, ""), remarks=(f"It says: {text}",)),
    ]
    for question in asked:
        for height in (8, 100):
            rows = plain(approval_lines(question, 60, height)).split("\n")
            assert any(FORGED[:5] in row for row in rows)
            assert not [row for row in rows if row.startswith(FORGED)]
    asked_back = InputRequest(path=("boss",), session_id="", question=text, choices=(text,))
    assert f"\n{FORGED}" not in plain(input_lines(asked_back, 60, 8))


def test_line_breaks_in_an_argument_are_shown_as_signs() -> None:
    shown = plain(approval_lines(replace(QUESTION, arguments={"command": "cd\nrm\r\nls"}), 60, 20))
    assert "command: cd␊rm␊ls" in shown


def test_a_long_argument_leaves_the_heading_and_all_other_arguments_on_the_screen() -> None:
    question = replace(QUESTION, arguments={"command": "rm -rf ~", "why": LONG, "then": "last words"})
    lines = approval_lines(question, 60, 16)
    on_screen = last_screen(lines, 16)
    for part in ("guide wants to use shell; in short:", "command: rm -rf ~", "why: 0 1 2", "then: last words"):
        assert part in on_screen
    assert "more rows above" in on_screen
    above = plain(lines).partition("in short:")[0].split()
    assert all(str(number) in above for number in range(2000))


@pytest.mark.parametrize("number", [1, 3, 100])
def test_as_many_arguments_are_shown_as_fit(number: int) -> None:
    question = replace(QUESTION, arguments={f"key{each}": LONG for each in range(number)})
    on_screen = last_screen(approval_lines(question, 60, 14), 14)
    assert "guide wants to use shell; in short:" in on_screen
    assert "key0: 0 1 2" in on_screen
    assert "1999" in on_screen


def test_a_question_that_fits_is_shown_once() -> None:
    shown = plain(approval_lines(replace(QUESTION, diff="".join(f"+{each}\n" for each in range(12))), 60, 14))
    assert "in short" not in shown
    assert shown.count("+11") == 1


def test_a_long_diff_is_shown_whole_and_its_ends_stay_on_the_screen() -> None:
    question = replace(QUESTION, diff="".join(f"+line {each}\n" for each in range(100)), remarks=("Take care.",))
    lines = approval_lines(question, 60, 16)
    on_screen = last_screen(lines, 16)
    for part in ("guide wants to use shell; in short:", "+line 0\n", "+line 99\n", "Take care."):
        assert part in on_screen
    above = plain(lines).partition("in short:")[0].split("\n")
    assert all(f"+line {each}" in above for each in range(100))


def test_a_long_question_of_a_prompt_object_has_a_short_form() -> None:
    inquiry = InputRequest(path=("boss", "scout"), session_id="", question="Which?\n" * 30, choices=(LONG,) * 9)
    on_screen = last_screen(input_lines(inquiry, 60, 14), 14)
    assert "scout (asked by boss) asks you; in short:" in on_screen


@pytest.mark.parametrize("width", [30, 60, 120])
@pytest.mark.parametrize(("name", "tool"), [("guide", "shell"), ("g" * 64, "shell"), ("g" * 64, "s" * 64)])
def test_the_prompt_names_object_and_tool_and_fits(width: int, name: str, tool: str) -> None:
    prompt = approval_prompt(replace(QUESTION, path=("boss", name), tool=tool), width)
    assert prompt.startswith(name[:1])
    assert f": {tool[:2]}" in prompt
    assert prompt.endswith("? [y/s/N/never/e] ")
    assert get_cwidth(prompt) < width
