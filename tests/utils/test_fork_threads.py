"""A plain function in a thread: its result, its errors, and what happens when it never ends."""

import asyncio
import contextvars
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from prompt_objects.utils.concurrency import in_thread


def raising(error: BaseException) -> None:
    raise error


async def test_it_returns_what_the_function_returns_and_raises_what_it_raises() -> None:
    assert await in_thread(dict, {"a": 1}) == {"a": 1}
    with pytest.raises(LookupError, match="no"):
        await in_thread(raising, {"error": LookupError("no")})


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), StopIteration()])
async def test_a_function_cannot_end_the_program(error: BaseException) -> None:
    with pytest.raises(RuntimeError, match=type(error).__name__):
        await in_thread(raising, {"error": error})


async def test_the_function_sees_the_callers_context_variables() -> None:
    variable = contextvars.ContextVar("variable", default=0)
    variable.set(7)
    assert await in_thread(variable.get, {}) == 7


async def test_a_hundred_that_hang_hold_up_no_other_and_can_be_cancelled() -> None:
    release = threading.Event()
    hanging = [asyncio.create_task(in_thread(release.wait, {"timeout": 20})) for _ in range(100)]
    start = time.perf_counter()
    try:
        assert await in_thread(dict, {}) == {}
        assert await asyncio.to_thread(dict) == {}
        for task in hanging:
            task.cancel()
        ended: list[Any] = await asyncio.gather(*hanging, return_exceptions=True)
    finally:
        release.set()
    assert {type(each) for each in ended} == {asyncio.CancelledError}
    assert time.perf_counter() - start < 5


def test_one_that_hangs_does_not_keep_the_program_from_ending() -> None:
    code = (
        "import asyncio, time\n"
        "from prompt_objects.utils.concurrency import in_thread\n"
        "async def main():\n"
        "    task = asyncio.create_task(in_thread(lambda: time.sleep(60), {}))\n"
        "    await asyncio.sleep(0.1)\n"
        "    task.cancel()\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
