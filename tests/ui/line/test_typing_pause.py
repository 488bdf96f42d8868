import asyncio
from time import monotonic

from prompt_objects.ui.line.application import TypingPause
from prompt_objects.ui.question import REST_SECONDS


async def test_each_key_restarts_the_pause() -> None:
    pause, start = TypingPause(), monotonic()
    task = asyncio.create_task(pause.wait())
    await asyncio.sleep(REST_SECONDS / 2)
    pause.touch()
    await task
    assert monotonic() - start >= 1.5 * REST_SECONDS


async def test_a_pause_before_the_question_does_not_count() -> None:
    pause = TypingPause()
    await asyncio.sleep(REST_SECONDS / 2)
    start = monotonic()
    await pause.wait()
    assert monotonic() - start >= REST_SECONDS - 0.01
