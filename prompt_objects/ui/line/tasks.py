"""Background tasks, and the one foreground task of the person."""

import asyncio
from collections.abc import Callable, Coroutine
from enum import Enum, auto
from typing import Any

__all__ = [
    "BackgroundTasks",
    "ForegroundTask",
    "TaskKind",
]


class BackgroundTasks:
    """All that goes on at this moment; `fail` is told of a defect in any of it, which would pass unseen else."""

    def __init__(self, fail: Callable[[BaseException], None]) -> None:
        self._fail = fail
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let something go on from now on."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    async def cancel(self) -> None:
        """Stop all of it, and wait until it has stopped."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._fail(error)


class TaskKind(Enum):
    """What can be under way."""

    COMMAND = auto()
    MESSAGE = auto()
    """A message is sent and answered."""
    ANSWER = auto()
    """A message that was sent before is answered."""
    WATCH = auto()
    """Somebody else's answer is watched, by one whose message has to wait."""

    @property
    def gives_back(self) -> bool:
        """Say whether a message that is not sent when this ends comes back into the line."""
        return self in {TaskKind.MESSAGE, TaskKind.WATCH}


class ForegroundTask:
    """Whether something is under way, of what kind it is or was, and whether the person leaves after it.

    `ended` is called each time that something has ended, and then `leave` if the person is to leave.
    """

    def __init__(self, tasks: BackgroundTasks, ended: Callable[[], None], leave: Callable[[], None]) -> None:
        self.kind = TaskKind.COMMAND
        self._tasks = tasks
        self._ended = ended
        self._leave = leave
        self._task: asyncio.Task[None] | None = None
        self._is_stopped = False
        self._is_unwanted = False
        self._is_leaving = False

    @property
    def is_under_way(self) -> bool:
        """Say whether anything is."""
        return self._task is not None

    @property
    def is_answering(self) -> bool:
        """Say whether it is something that can be stopped, and was not: anything but a command."""
        return self.is_under_way and self.kind is not TaskKind.COMMAND and not self._is_stopped

    @property
    def is_watching(self) -> bool:
        """Say whether somebody else's answer is watched."""
        return self.is_under_way and self.kind is TaskKind.WATCH

    def start(self, work: Coroutine[Any, Any, None], kind: TaskKind) -> None:
        """Let something begin, while nothing is under way."""
        self.kind = kind
        self._task = self._tasks.spawn(work)
        self._task.add_done_callback(lambda _: self._end())

    def become(self, kind: TaskKind) -> None:
        """Have a command turn out to be of another kind; it stops here where it was to be stopped already."""
        self.kind = kind
        if self._is_unwanted:
            self.stop()

    def aside(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something go on that is none of this, and that nothing waits for."""
        self._tasks.spawn(work)

    def stop(self) -> None:
        """Stop an answer, once; a command would be left half done: only the answer that may follow it is stopped."""
        if self._task and self.is_answering:
            self._is_stopped = True
            self._task.cancel()
        elif self.kind is TaskKind.COMMAND:
            self._is_unwanted = self.is_under_way

    def leave(self) -> None:
        """Have the person leave once what is under way has stopped."""
        if self._task:
            self._is_leaving = True
            self.stop()
        else:
            self._leave()

    def _end(self) -> None:
        self._task, self._is_stopped, self._is_unwanted = None, False, False
        self._ended()
        if self._is_leaving:
            self._leave()
