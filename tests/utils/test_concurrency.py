"""Awaits that a cancellation does not interrupt, and functions in daemon threads."""

import asyncio
import contextvars
import subprocess
import sys
import threading
import time
from functools import partial
from typing import Any

import pytest

from prompt_objects.errors import StoreError
from prompt_objects.utils.concurrency import run_in_daemon_thread, uninterrupted


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


async def test_an_error_of_cancelled_work_is_the_cause_of_the_cancellation() -> None:
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


def raising(error: BaseException) -> None:
    raise error


async def test_a_daemon_thread_returns_the_result_or_raises_the_error() -> None:
    assert await run_in_daemon_thread(partial(dict, a=1)) == {"a": 1}
    with pytest.raises(LookupError, match="no"):
        await run_in_daemon_thread(partial(raising, LookupError("no")))


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), StopIteration()])
async def test_a_function_in_a_thread_cannot_end_the_program(error: BaseException) -> None:
    with pytest.raises(RuntimeError, match=type(error).__name__):
        await run_in_daemon_thread(partial(raising, error))


async def test_a_function_in_a_thread_sees_the_context_variables_of_its_caller() -> None:
    variable = contextvars.ContextVar("variable", default=0)
    variable.set(7)
    assert await run_in_daemon_thread(variable.get) == 7


async def test_a_hundred_hanging_threads_can_be_cancelled_and_delay_no_other() -> None:
    release = threading.Event()
    hanging = [run_in_daemon_thread(partial(release.wait, timeout=20)) for _ in range(100)]
    start = time.perf_counter()
    try:
        assert await run_in_daemon_thread(dict) == {}
        assert await asyncio.to_thread(dict) == {}
        for future in hanging:
            future.cancel()
        ended: list[Any] = await asyncio.gather(*hanging, return_exceptions=True)
    finally:
        release.set()
    assert {type(each) for each in ended} == {asyncio.CancelledError}
    assert time.perf_counter() - start < 5


def test_a_hanging_thread_does_not_keep_the_program_from_ending() -> None:
    code = (
        "import asyncio, time\n"
        "from prompt_objects.utils.concurrency import run_in_daemon_thread\n"
        "async def main():\n"
        "    future = run_in_daemon_thread(lambda: time.sleep(60))\n"
        "    await asyncio.sleep(0.1)\n"
        "    future.cancel()\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
