"""What must not be cut off is not, and how it ended is not lost."""

import asyncio

import pytest

from prompt_objects.errors import StoreError
from prompt_objects.utils.concurrency import uninterrupted


async def test_a_cancellation_takes_effect_when_the_work_is_done() -> None:
    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0.05)
        done.append("yes")

    task = asyncio.create_task(uninterrupted(work()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["yes"]


async def test_what_went_wrong_meanwhile_is_the_cause_of_the_cancellation() -> None:
    async def work() -> None:
        await asyncio.sleep(0.05)
        raise StoreError("The database cannot be reached.")

    async def caught() -> BaseException | None:
        try:
            await uninterrupted(work())
        except asyncio.CancelledError as cancelled:
            return cancelled.__cause__
        return None

    task = asyncio.create_task(caught())
    await asyncio.sleep(0)
    task.cancel()
    assert isinstance(await task, StoreError)
