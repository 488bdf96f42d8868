"""Nothing that goes on beside the screen fails unseen (ui/tasks.py)."""

import asyncio

from prompt_objects.ui.line.tasks import BackgroundTasks


async def forever() -> None:
    await asyncio.Event().wait()


async def broken() -> None:
    raise ZeroDivisionError


async def test_a_defect_is_told_and_neither_an_end_nor_a_cancellation_is() -> None:
    told: list[BaseException] = []
    tasks = BackgroundTasks(told.append)
    fine, cancelled, defect = (tasks.spawn(work) for work in (asyncio.sleep(0), forever(), broken()))
    cancelled.cancel()
    await asyncio.wait([fine, cancelled, defect])
    await asyncio.sleep(0)
    assert [type(error) for error in told] == [ZeroDivisionError]


async def test_all_of_it_has_stopped_when_it_is_cancelled_also_what_takes_a_moment_to_clean_up() -> None:
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
