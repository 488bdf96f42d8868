import asyncio
from time import monotonic

from prompt_objects.ui.line.dialogs import TypingPause
from prompt_objects.ui.render.questions import REST_SECONDS


async def test_each_key_begins_the_rest_anew() -> None:
    rest, begun = TypingPause(), monotonic()
    task = asyncio.create_task(rest.taken())
    await asyncio.sleep(REST_SECONDS / 2)
    rest.touch()
    await task
    assert monotonic() - begun >= 1.5 * REST_SECONDS


async def test_a_rest_before_the_question_does_not_count() -> None:
    rest = TypingPause()
    await asyncio.sleep(REST_SECONDS / 2)
    begun = monotonic()
    await rest.taken()
    assert monotonic() - begun >= REST_SECONDS - 0.01
