"""A wait for another process is reported, and the user can give up."""

import asyncio
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from prompt_objects.utils import filesystem as disk
from prompt_objects.utils import waiting
from prompt_objects.utils.concurrency import uninterrupted
from prompt_objects.utils.waiting import GaveUp, Mutex


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "REPORT_SECONDS", 0.02)
    monkeypatch.setattr(waiting, "GRACE_SECONDS", 0.01)


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    """A file that another open descriptor has locked."""
    descriptor = os.open(tmp_path / "locked", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield tmp_path / "locked"
    with suppress(OSError):
        os.close(descriptor)


def take(path: Path) -> None:
    with disk.locked_file(path):
        pass


def test_a_long_wait_is_reported_once_with_the_holder_and_ends_when_the_user_gives_up(locked: Path) -> None:
    reports: list[str] = []
    with waiting.work(reports.append) as work:
        threading.Timer(0.1, work.give_up).start()
        with pytest.raises(GaveUp, match="Gave up waiting for the lock of"):
            take(locked)
    assert reports == [f"Waiting for the lock of {locked}, held by process {os.getpid()}.", ""]


def test_work_that_was_given_up_still_takes_a_lock_that_is_free_soon(locked: Path, tmp_path: Path) -> None:
    with waiting.work() as work:
        work.give_up()
        take(tmp_path / "free")
        with pytest.raises(GaveUp):
            take(locked)


def test_giving_up_ends_the_work_that_was_started_in_it_and_not_the_work_around_it() -> None:
    with waiting.work() as outer:
        with waiting.work() as inner:
            inner.give_up()
            assert not waiting.may_wait()
        assert waiting.may_wait()
        with waiting.work():
            outer.give_up()
            assert not waiting.may_wait()
    assert waiting.may_wait()


async def test_a_cancellation_ends_a_wait_for_a_lock(locked: Path) -> None:
    task = asyncio.create_task(uninterrupted(asyncio.to_thread(take, locked)))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert isinstance(caught.value.__cause__, GaveUp)


def test_a_thread_can_give_up_although_the_owner_of_the_lock_goes_on_waiting() -> None:
    mutex, owned, done = Mutex("notes"), threading.Event(), threading.Event()

    def own() -> None:
        with mutex:
            owned.set()
            done.wait(10)

    owner = threading.Thread(target=own)
    owner.start()
    owned.wait(10)
    with waiting.work() as work:
        work.give_up()
        with pytest.raises(GaveUp, match="another operation on notes"):
            mutex.acquire()
    done.set()
    owner.join()
    assert mutex.try_acquire()


def test_a_recursive_lock_can_be_taken_again_by_its_owner() -> None:
    mutex = Mutex("notes", recursive=True)
    with mutex, mutex:
        pass
    assert Mutex("others").try_acquire()
