"""A question interrupts what is being typed, and gives it back."""

import asyncio

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document

from prompt_objects.approval import Answer, Edited, Question
from prompt_objects.ui.asking import Asking
from prompt_objects.ui.style import Line, plain

QUESTION = Question(
    path=("boss", "scribe"), session_id="", tool="send", effect="network", arguments={"to": "ann\x1b[2J", "times": 2}
)


async def asked(*typed: str, draft: str = "") -> tuple[Answer, list[str], str, str]:
    """Answer a question; return the answer, what was said of each line typed, what was shown and what is left."""
    buffer, shown = Buffer(document=Document(draft)), list[Line]()
    asking = Asking(lambda: buffer, shown.extend)
    task = asyncio.create_task(asking.ask(QUESTION, 60))
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


async def test_an_empty_line_is_a_no() -> None:
    assert (await asked(""))[0] == "no"


async def test_arguments_are_edited_as_json() -> None:
    answer, said, _, left = await asked("e", "{", "[1]", '{"to": "bob"}', draft="later")
    assert answer == Edited({"to": "bob"})
    assert "no JSON" in said[1]
    assert "no JSON object" in said[2]
    assert left == "later"
