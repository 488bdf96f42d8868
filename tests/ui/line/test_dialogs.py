"""A question interrupts what is being typed, and gives it back."""

import asyncio

import pytest
from msgspec.structs import replace
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document

from prompt_objects.runtime.interaction import ApprovalRequest, Decision, EditedArguments, InputRequest
from prompt_objects.ui.line.dialogs import QuestionDialog
from prompt_objects.ui.render.style import Line, plain

QUESTION = ApprovalRequest(
    path=("boss", "scribe"), session_id="", tool="send", effect="network", arguments={"to": "ann\x1b[2J", "times": 2}
)


PROPOSAL = ApprovalRequest(
    path=("scribe",),
    session_id="",
    tool="propose_change",
    effect="write",
    arguments={},
    diff="-old\n+new\x1b[2J\n",
    remarks=("It says: \x1b[31mtrust me", "scribe could use write_file, which changes files."),
    for_session=False,
)
INQUIRY = InputRequest(
    path=("boss", "scribe"), session_id="", question="Which colour?\n\x1b[2JSay.", choices=("red", "blue\x1b[0m")
)


async def at_once() -> None:
    """Rest for no time."""


async def asked(
    *typed: str, draft: str = "", question: ApprovalRequest = QUESTION
) -> tuple[Decision, list[str], str, str]:
    """Answer a question; return the answer, what was said of each line typed, what was shown and what is left."""
    buffer, shown = Buffer(document=Document(draft)), list[Line]()
    asking = QuestionDialog(lambda: buffer, shown.extend, at_once)
    task = asyncio.create_task(asking.approve(question, 60, 50))
    await asyncio.sleep(0)
    assert asking.is_open
    assert not buffer.text
    said = [asking.take(text) for text in typed]
    return await task, said, plain(shown), buffer.text


async def test_it_says_who_asks_and_by_whom_that_was_asked_and_nothing_hostile() -> None:
    answer, _, shown, _ = await asked("y")
    assert answer == "once"
    assert "scribe (asked by boss) wants to use send:" in shown
    assert "\x1b" not in shown
    assert "times: 2" in shown


async def test_what_was_being_typed_comes_back() -> None:
    assert (await asked("n", draft="my next thought"))[3] == "my next thought"


async def test_what_is_no_answer_is_not_taken_for_one() -> None:
    answer, said, _, _ = await asked("perhaps", "S ")
    assert "y: once" in said[0]
    assert answer == "session"


async def test_words_are_wrapped_at_spaces_and_the_lines_of_a_diff_are_not() -> None:
    long = "word " * 30
    arguments = {"to": long, "number": 7}
    _, _, shown, _ = await asked("n", question=replace(QUESTION, arguments=arguments))
    assert f"  to: {'word ' * 10}word\n  word" in shown
    _, _, shown, _ = await asked("n", question=replace(PROPOSAL, diff=f"+{long}", remarks=(long,)))
    assert f"+{'word ' * 11}wor\n…d word" in shown
    assert f"\n  {'word ' * 10}word\n  word" in shown


async def test_an_empty_line_is_a_no() -> None:
    assert (await asked(""))[0] == "no"


async def test_arguments_are_edited_as_json() -> None:
    answer, said, _, left = await asked("e", "{", "[1]", '{"to": "bob"}', draft="later")
    assert answer == EditedArguments({"to": "bob"})
    assert "no JSON" in said[1]
    assert "no JSON object" in said[2]
    assert left == "later"


async def test_what_follows_from_a_proposal_is_shown_and_a_yes_holds_for_this_time_only() -> None:
    answer, said, shown, _ = await asked("s", "y", question=PROPOSAL)
    assert answer == "once"
    assert "for this session" not in said[0]
    assert "for this session" not in shown
    assert "It says: trust me" in shown
    assert "scribe could use write_file, which changes files." in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(("key", "answer"), [("a line", " Blue, \n please"), ("nothing", ""), ("Esc", "")])
async def test_an_inquiry_is_answered_in_any_words_or_left_alone(key: str, answer: str) -> None:
    buffer, shown = Buffer(document=Document("my next thought")), list[Line]()
    asking = QuestionDialog(lambda: buffer, shown.extend, at_once)
    task = asyncio.create_task(asking.ask(INQUIRY, 60, 50))
    await asyncio.sleep(0)
    assert asking.is_open
    assert asking.prompt(60) == "answer: "
    if key == "Esc":
        asking.dismiss()
        asking.dismiss()
    else:
        assert asking.take(answer) == ""
    assert await task == answer
    assert not asking.is_open
    assert buffer.text == "my next thought"
    assert "\x1b" not in plain(shown)
    for part in ("scribe (asked by boss) asks you:", "Which colour?", "1: red", "2: blue", "answer:"):
        assert part in plain(shown)


async def test_esc_at_an_approval_is_a_no_also_while_arguments_are_edited() -> None:
    buffer = Buffer()
    asking = QuestionDialog(lambda: buffer, lambda _: None, at_once)
    for typed in ("perhaps", "e"):
        task = asyncio.create_task(asking.approve(QUESTION, 60, 50))
        await asyncio.sleep(0)
        asking.take(typed)
        asking.dismiss()
        assert await task == "no"


async def test_what_is_typed_before_the_keys_rest_is_no_answer_and_stays_in_the_line() -> None:
    buffer, shown, resting = Buffer(document=Document("look in the librar")), list[Line](), asyncio.Event()

    async def rested() -> None:
        await resting.wait()

    asking = QuestionDialog(lambda: buffer, shown.extend, rested)
    task = asyncio.create_task(asking.approve(QUESTION, 60, 50))
    await asyncio.sleep(0)
    assert asking.is_posed
    assert "scribe (asked by boss) wants to use send:" in plain(shown)
    assert not asking.is_open
    assert not asking.is_early  # what stands in the line was begun before
    buffer.insert_text("y")
    asking.take("y")
    asking.dismiss()
    resting.set()
    await asyncio.sleep(0.01)
    assert asking.is_open
    assert not buffer.text
    asking.take("n")
    assert await task == "no"
    assert buffer.text == "look in the library"


async def test_a_line_begun_after_the_question_came_is_early_until_the_keys_rest() -> None:
    buffer, resting = Buffer(), asyncio.Event()

    async def rested() -> None:
        await resting.wait()

    asking = QuestionDialog(lambda: buffer, lambda _: None, rested)
    task = asyncio.create_task(asking.ask(INQUIRY, 60, 50))
    await asyncio.sleep(0)
    assert asking.is_early
    resting.set()
    await asyncio.sleep(0.01)
    assert not asking.is_early
    asking.dismiss()
    await task
    assert not asking.is_posed


@pytest.mark.parametrize("way", ["Esc", "Ctrl-C", "given"])
async def test_an_answer_that_is_not_given_is_kept_in_the_history(way: str) -> None:
    buffer = Buffer(document=Document("my next thought"))
    asking = QuestionDialog(lambda: buffer, lambda _: None, at_once)
    task = asyncio.create_task(asking.ask(INQUIRY, 60, 50))
    await asyncio.sleep(0)
    buffer.insert_text("a long and careful answer")
    match way:
        case "Esc":
            asking.dismiss()
        case "Ctrl-C":
            task.cancel()
        case _:
            asking.take(buffer.text)
    await asyncio.gather(task, return_exceptions=True)
    assert buffer.text == "my next thought"
    assert buffer.history.get_strings() == ([] if way == "given" else ["a long and careful answer"])


async def test_arguments_that_nobody_changed_are_not_kept_in_the_history() -> None:
    buffer = Buffer()
    asking = QuestionDialog(lambda: buffer, lambda _: None, at_once)
    for change in ("", " "):
        task = asyncio.create_task(asking.approve(QUESTION, 60, 50))
        await asyncio.sleep(0)
        asking.take("e")
        buffer.insert_text(change)
        asking.dismiss()
        await task
        assert len(buffer.history.get_strings()) == len(change)


async def test_a_question_is_put_once_more_for_as_long_as_it_is_open() -> None:
    shown = list[Line]()
    asking = QuestionDialog(Buffer, shown.extend, at_once)
    asking.repeat()
    assert shown == []
    task = asyncio.create_task(asking.approve(QUESTION, 60, 50))
    await asyncio.sleep(0)
    first = list(shown)
    asking.repeat()
    assert shown == first * 2
    asking.take("n")
    await task
    asking.repeat()
    assert shown == first * 2
