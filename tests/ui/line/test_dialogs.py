"""A question takes over the input line, and gives the draft back."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document

from prompt_objects.runtime.interaction import ApprovalRequest, Decision, EditedArguments, InputRequest
from prompt_objects.ui.line import view
from prompt_objects.ui.question import Question
from prompt_objects.ui.render.style import plain

if TYPE_CHECKING:
    from prompt_objects.ui.render.style import Line

QUESTION = ApprovalRequest(
    path=("boss", "scribe"), session_id="", tool="send", effect="network", arguments={"to": "ann\x1b[2J", "times": 2}
)


PROPOSAL = ApprovalRequest(
    path=("scribe",),
    session_id="",
    tool="propose_change",
    effect="write",
    arguments={},
    diff="--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\x1b[2J\n",
    remarks=("It says: \x1b[31mtrust me", "scribe could use write_file, which changes files."),
    for_session=False,
)
QUESTION_OF_OBJECT = InputRequest(
    path=("boss", "scribe"), session_id="", question="Which colour?\n\x1b[2JSay.", choices=("red", "blue\x1b[0m")
)


class Dialog:
    """A question, the input in which it is answered, and the lines shown."""

    def __init__(self, request: ApprovalRequest | InputRequest, draft: str = "", *, is_resting: bool = True) -> None:
        self.buffer = Buffer(document=Document(draft))
        self.shown: list[Line] = []
        self.question = Question(request)
        self.rested = asyncio.Event()
        if is_resting:
            self.rested.set()
        self.task = asyncio.create_task(self._pose())

    async def _pose(self) -> Any:
        async def rested() -> None:
            await self.rested.wait()

        await view.ask_in_input(self.question, self.buffer, self.shown.extend, (60, 50), rested)
        return self.question.answer.result()

    @property
    def text(self) -> str:
        return plain(self.shown)

    def type(self, text: str) -> str:
        """Send a text as the answer; return the error message."""
        problem = self.question.answer_with(text)
        if self.question.answer.done():
            self.buffer.document = Document()
        return problem


async def open_dialog(request: ApprovalRequest | InputRequest, draft: str = "") -> Dialog:
    dialog = Dialog(request, draft)
    await asyncio.sleep(0)
    assert dialog.question.is_open
    assert not dialog.buffer.text
    return dialog


async def answer(
    *typed: str, draft: str = "", request: ApprovalRequest = QUESTION
) -> tuple[Decision, list[str], str, str]:
    """Answer a question; return the decision, the error message of each text, the shown text and the draft."""
    dialog = await open_dialog(request, draft)
    problems = [dialog.type(text) for text in typed]
    return await dialog.task, problems, dialog.text, dialog.buffer.text


async def test_the_question_names_the_object_and_its_caller_and_is_cleaned() -> None:
    decision, _, shown, _ = await answer("y")
    assert decision == "once"
    assert "scribe (asked by boss) wants to use send:" in shown
    assert "\x1b" not in shown
    assert "times: 2" in shown


async def test_the_draft_comes_back() -> None:
    assert (await answer("n", draft="my next thought"))[3] == "my next thought"


async def test_other_words_are_no_answer() -> None:
    decision, problems, _, _ = await answer("perhaps", "S ")
    assert "y: once" in problems[0]
    assert decision == "session"


async def test_text_is_wrapped_at_spaces_and_the_rows_of_a_diff_are_not() -> None:
    long = ("word " * 30).strip()
    arguments = {"to": long, "number": 7}
    _, _, shown, _ = await answer("n", request=replace(QUESTION, arguments=arguments))
    assert f"  to: {'word ' * 9}word\n   word" in shown
    diff = f"--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+{long}"
    _, _, shown, _ = await answer("n", request=replace(PROPOSAL, diff=diff, remarks=(long,)))
    assert f"+{'word ' * 11}word\n… word" in shown
    assert f"\n  {'word ' * 10}word\n   word" in shown


async def test_an_empty_line_is_a_no() -> None:
    assert (await answer(""))[0] == "no"


async def test_arguments_are_edited_as_json() -> None:
    decision, problems, _, draft = await answer("e", "{", "[1]", '{"to": "bob"}', draft="later")
    assert decision == EditedArguments({"to": "bob"})
    assert "not JSON" in problems[1]
    assert "not a JSON object" in problems[2]
    assert draft == "later"


async def test_remarks_are_shown_and_a_call_may_be_approved_only_once() -> None:
    decision, problems, shown, _ = await answer("s", "y", request=PROPOSAL)
    assert decision == "once"
    assert "this session" not in problems[0].replace("never: not this session", "")
    assert "s: this session" not in shown
    assert "It says: ␛[31mtrust me" in shown
    assert "scribe could use write_file, which changes files." in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(("key", "text"), [("a line", " Blue, \n please"), ("nothing", ""), ("Esc", "")])
async def test_a_question_of_an_object_is_answered_in_any_words_or_not(key: str, text: str) -> None:
    dialog = await open_dialog(QUESTION_OF_OBJECT, "my next thought")
    assert dialog.question.prompt(60) == "answer: "
    if key == "Esc":
        dialog.question.dismiss()
        dialog.question.dismiss()
    else:
        assert dialog.type(text) == ""
    assert await dialog.task == text
    assert not dialog.question.is_open
    assert dialog.buffer.text == "my next thought"
    assert "\x1b" not in dialog.text
    for part in ("scribe (asked by boss) asks you:", "Which colour?", "1: red", "2: blue", "answer:"):
        assert part in dialog.text


async def test_esc_at_an_approval_is_a_no_even_while_arguments_are_edited() -> None:
    for typed in ("perhaps", "e"):
        dialog = await open_dialog(QUESTION)
        dialog.type(typed)
        dialog.question.dismiss()
        assert await dialog.task == "no"


async def test_text_typed_before_the_pause_is_no_answer_and_stays_in_the_draft() -> None:
    dialog = Dialog(QUESTION, "look in the librar", is_resting=False)
    await asyncio.sleep(0)
    assert "scribe (asked by boss) wants to use send:" in dialog.text
    assert not dialog.question.is_open
    assert not dialog.question.is_early  # the draft was started before
    dialog.buffer.insert_text("y")
    dialog.type("y")
    dialog.question.dismiss()
    dialog.rested.set()
    await asyncio.sleep(0.01)
    assert dialog.question.is_open
    assert not dialog.buffer.text
    dialog.type("n")
    assert await dialog.task == "no"
    assert dialog.buffer.text == "look in the library"


async def test_a_line_begun_after_the_question_appeared_is_early_until_the_pause() -> None:
    dialog = Dialog(QUESTION_OF_OBJECT, is_resting=False)
    await asyncio.sleep(0)
    assert dialog.question.is_early
    dialog.rested.set()
    await asyncio.sleep(0.01)
    assert not dialog.question.is_early
    dialog.question.dismiss()
    await dialog.task


@pytest.mark.parametrize("way", ["Esc", "Ctrl-C", "given"])
async def test_a_typed_answer_that_was_not_given_is_kept_in_the_history(way: str) -> None:
    dialog = await open_dialog(QUESTION_OF_OBJECT, "my next thought")
    dialog.buffer.insert_text("a long and careful answer")
    match way:
        case "Esc":
            dialog.question.dismiss()
        case "Ctrl-C":
            dialog.task.cancel()
        case _:
            dialog.type(dialog.buffer.text)
    await asyncio.gather(dialog.task, return_exceptions=True)
    assert dialog.buffer.text == "my next thought"
    assert dialog.buffer.history.get_strings() == ([] if way == "given" else ["a long and careful answer"])


async def test_unchanged_arguments_are_not_kept_in_the_history() -> None:
    for change in ("", " "):
        dialog = await open_dialog(QUESTION)
        dialog.type("e")
        dialog.buffer.document = Document(dialog.question.draft)
        dialog.buffer.insert_text(change)
        dialog.question.dismiss()
        await dialog.task
        assert len(dialog.buffer.history.get_strings()) == len(change)


async def test_the_shown_lines_of_a_question_are_known() -> None:
    dialog = await open_dialog(QUESTION)
    assert dialog.question.shown == dialog.shown != []
    dialog.type("n")
    await dialog.task


async def test_a_long_question_is_opened_whole_by_v() -> None:
    dialog = await open_dialog(replace(QUESTION, arguments={"to": "line\n" * 60}))
    assert dialog.text.count("line␊") < 120
    assert "v: view all" in dialog.text
    assert dialog.type("v") == ""
    opened = plain(dialog.question.take_opened())
    assert opened.count("line␊") >= 60
    assert dialog.question.take_opened() == []
    dialog.type("y")
    assert await dialog.task == "once"


async def test_what_was_not_shown_cannot_be_approved() -> None:
    dialog = await open_dialog(replace(QUESTION, arguments={"to": "a\n" * 150 + "evil\n" + "a\n" * 150}))
    assert "evil" not in dialog.text
    for word in ("y", "s"):
        problem = dialog.type(word)
        if not dialog.question.answer.done():
            assert "Read it to its end" in problem
            assert "evil␊" in plain(dialog.question.take_opened())
    assert await dialog.task == "session"


async def test_hidden_characters_are_escapes_while_arguments_are_edited() -> None:
    dialog = await open_dialog(replace(QUESTION, arguments={"to": "a\u202eb\x1b"}))
    dialog.type("e")
    assert '"a\\u202eb\\u001b"' in dialog.question.draft
    dialog.type(dialog.question.draft)
    assert await dialog.task == EditedArguments({"to": "a\u202eb\x1b"})


async def test_a_very_long_question_does_not_stop_the_event_loop() -> None:
    dialog = Dialog(replace(QUESTION, arguments={"to": "a\u202e" * 100_000}))
    ticks = 0
    while not dialog.question.is_open:
        await asyncio.sleep(0.001)
        ticks += 1
    assert ticks > 1
    dialog.type("n")
    assert await dialog.task == "no"
