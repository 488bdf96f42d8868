"""Background tasks, and the one foreground task of the user."""

import asyncio
from collections.abc import Callable, Coroutine
from enum import Enum, auto
from typing import Any

from prompt_objects.utils import waiting


class BackgroundTasks:
    """The running tasks of a user interface; `fail` gets each unexpected exception, which would be lost otherwise."""

    def __init__(self, fail: Callable[[BaseException], None]) -> None:
        self._fail = fail
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    async def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._fail(error)


class TaskKind(Enum):
    """The kinds of foreground tasks."""

    COMMAND = auto()
    MESSAGE = auto()
    """A message is sent and answered."""
    ANSWER = auto()
    """A message that was sent before is answered."""
    WATCH = auto()
    """The answer of another process is watched, while the user's message has to wait."""

    @property
    def restores_input(self) -> bool:
        """Whether a message that was not sent goes back into the input when the task ends."""
        return self in {TaskKind.MESSAGE, TaskKind.WATCH}


class ForegroundTask:
    """The one task that the user waits for; `kind` is that of the running task, else of the last one.

    `ended` is called after each task, and then `leave` if the user wants to leave.
    """

    def __init__(self, tasks: BackgroundTasks, ended: Callable[[], None], leave: Callable[[], None]) -> None:
        self.kind = TaskKind.COMMAND
        self._tasks = tasks
        self._ended = ended
        self._leave = leave
        self._task: asyncio.Task[None] | None = None
        self._work: waiting.Work | None = None
        self._is_stopped = False
        self._stops_after_command = False
        self._is_leaving = False

    @property
    def is_running(self) -> bool:
        return self._task is not None

    @property
    def is_answering(self) -> bool:
        """Whether a task is running that can be stopped and was not stopped yet: anything but a command."""
        return self.is_running and self.kind is not TaskKind.COMMAND and not self._is_stopped

    @property
    def is_watching(self) -> bool:
        """Whether the answer of another process is being watched."""
        return self.is_running and self.kind is TaskKind.WATCH

    def start(self, work: Coroutine[Any, Any, None], kind: TaskKind) -> None:
        self.kind = kind
        with waiting.work() as self._work:
            self._task = self._tasks.spawn(work)
        self._task.add_done_callback(lambda _: self._end())

    def become(self, kind: TaskKind) -> None:
        """Continue a command as a task of another kind; it stops now if `stop` was called during the command."""
        self.kind = kind
        if self._stops_after_command:
            self.stop()

    def stop(self) -> None:
        """Cancel an answer, once. A command runs to its end; only the answer that may follow it is cancelled.

        Both give up waiting for other processes.
        """
        if self._work:
            self._work.give_up()
        if self._task and self.is_answering:
            self._is_stopped = True
            self._task.cancel()
        elif self.kind is TaskKind.COMMAND:
            self._stops_after_command = self.is_running

    def leave(self) -> None:
        if self._task:
            self._is_leaving = True
            self.stop()
        else:
            self._leave()

    async def wait(self) -> None:
        while self._task:
            await asyncio.wait([self._task])

    def _end(self) -> None:
        self._task, self._is_stopped, self._stops_after_command = None, False, False
        self._ended()
        if self._is_leaving:
            self._leave()
