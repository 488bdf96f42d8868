"""An exception in a background task never stays unseen."""

import asyncio

from prompt_objects.ui.tasks import BackgroundTasks


async def forever() -> None:
    await asyncio.Event().wait()


async def broken() -> None:
    raise ZeroDivisionError


async def test_only_unexpected_exceptions_are_reported() -> None:
    reported: list[BaseException] = []
    tasks = BackgroundTasks(reported.append)
    fine, cancelled, defect = (tasks.spawn(work) for work in (asyncio.sleep(0), forever(), broken()))
    cancelled.cancel()
    await asyncio.wait([fine, cancelled, defect])
    await asyncio.sleep(0)
    assert [type(error) for error in reported] == [ZeroDivisionError]


async def test_cancelling_waits_until_all_tasks_have_cleaned_up() -> None:
    done: list[str] = []

    async def slow_to_stop() -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(0.01)
            done.append("clean")

    tasks = BackgroundTasks(lambda _: None)
    spawned = [tasks.spawn(slow_to_stop()) for _ in range(2)]
    await asyncio.sleep(0)
    await tasks.cancel()
    assert done == ["clean"] * 2
    assert all(task.cancelled() for task in spawned)
    await tasks.cancel()
