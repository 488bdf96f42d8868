"""One foreground task at a time."""

import asyncio

import pytest

from prompt_objects.ui.tasks import BackgroundTasks, ForegroundTask, TaskKind


class Recorded:
    """A foreground task, and the calls of its callbacks."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.gate = asyncio.Event()
        self.tasks = BackgroundTasks(self._fail)
        self.task = ForegroundTask(self.tasks, lambda: self._record("ended"), lambda: self._record("leave"))

    def _record(self, name: str) -> None:
        self.calls.append(f"{name}, {self.task.kind.name}, running: {self.task.is_running}")

    def _fail(self, defect: BaseException) -> None:
        self.calls.append(repr(defect))

    async def until_the_gate_opens(self) -> None:
        await self.gate.wait()


@pytest.fixture
async def recorded() -> Recorded:
    return Recorded()


async def settle() -> None:
    """Let all ready tasks run."""
    for _ in range(5):
        await asyncio.sleep(0)


ANSWERS = [TaskKind.MESSAGE, TaskKind.ANSWER, TaskKind.WATCH]


@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_can_be_stopped_before_it_has_started(recorded: Recorded, kind: TaskKind) -> None:
    recorded.task.start(recorded.until_the_gate_opens(), kind)
    assert recorded.task.is_answering
    recorded.task.stop()
    assert recorded.task.is_running
    assert not recorded.task.is_answering
    await settle()
    assert recorded.calls == [f"ended, {kind.name}, running: False"]


async def test_further_stops_do_not_interrupt_the_cleanup_after_a_stop(recorded: Recorded) -> None:
    async def cleaning_up() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await recorded.gate.wait()
            recorded.calls.append("clean")

    recorded.task.start(cleaning_up(), TaskKind.MESSAGE)
    await settle()
    for _ in range(3):
        recorded.task.stop()
        await settle()
    assert recorded.calls == []
    assert recorded.task.is_running
    recorded.gate.set()
    await settle()
    assert recorded.calls == ["clean", "ended, MESSAGE, running: False"]


async def test_a_command_runs_to_its_end_unless_it_becomes_an_answer(recorded: Recorded) -> None:
    recorded.task.start(recorded.until_the_gate_opens(), TaskKind.COMMAND)
    recorded.task.stop()
    await settle()
    assert recorded.task.is_running
    assert recorded.calls == []
    recorded.task.kind = TaskKind.ANSWER
    recorded.task.stop()
    await settle()
    assert recorded.calls == ["ended, ANSWER, running: False"]


async def test_leaving_is_immediate_if_nothing_is_running(recorded: Recorded) -> None:
    recorded.task.leave()
    assert recorded.calls == ["leave, COMMAND, running: False"]


async def test_leaving_during_an_answer_waits_until_it_has_stopped(recorded: Recorded) -> None:
    recorded.task.start(recorded.until_the_gate_opens(), TaskKind.MESSAGE)
    recorded.task.leave()
    assert recorded.calls == []
    await settle()
    assert recorded.calls == ["ended, MESSAGE, running: False", "leave, MESSAGE, running: False"]


async def test_leaving_by_a_command_waits_for_its_end(recorded: Recorded) -> None:
    async def leaving() -> None:
        recorded.task.leave()
        await recorded.gate.wait()

    recorded.task.start(leaving(), TaskKind.COMMAND)
    await settle()
    assert recorded.calls == []
    recorded.gate.set()
    await settle()
    assert recorded.calls == ["ended, COMMAND, running: False", "leave, COMMAND, running: False"]


async def test_a_stop_affects_one_task_only(recorded: Recorded) -> None:
    for _ in range(2):
        recorded.task.start(recorded.until_the_gate_opens(), TaskKind.MESSAGE)
        assert recorded.task.is_answering
        recorded.task.stop()
        await settle()
    assert recorded.calls == ["ended, MESSAGE, running: False"] * 2


async def test_a_background_task_does_not_end_the_foreground_task(recorded: Recorded) -> None:
    recorded.task.start(recorded.until_the_gate_opens(), TaskKind.MESSAGE)
    recorded.tasks.spawn(asyncio.sleep(0))
    await settle()
    assert recorded.task.is_answering
    assert recorded.calls == []
    recorded.gate.set()
    await settle()
    assert recorded.calls == ["ended, MESSAGE, running: False"]


async def test_an_unexpected_exception_is_reported_and_ends_the_task(recorded: Recorded) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    recorded.task.start(broken(), TaskKind.MESSAGE)
    await settle()
    assert recorded.calls == ["ZeroDivisionError()", "ended, MESSAGE, running: False"]


def test_only_an_unsent_message_is_given_back() -> None:
    assert [kind for kind in TaskKind if kind.restores_input] == [TaskKind.MESSAGE, TaskKind.WATCH]


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("way", ["stop", "leave"])
async def test_a_command_stopped_early_ends_when_it_would_become_an_answer(
    recorded: Recorded, kind: TaskKind, way: str
) -> None:
    async def becoming() -> None:
        await recorded.gate.wait()
        recorded.task.become(kind)
        await asyncio.sleep(0)
        recorded.calls.append("answering")

    recorded.task.start(becoming(), TaskKind.COMMAND)
    await settle()
    recorded.task.stop() if way == "stop" else recorded.task.leave()
    await settle()
    assert recorded.calls == []
    recorded.gate.set()
    await settle()
    assert recorded.calls == [
        f"{way}, {kind.name}, running: False" for way in ("ended", "leave")[: 1 + (way == "leave")]
    ]


async def test_stopping_a_command_does_not_affect_the_next_one(recorded: Recorded) -> None:
    recorded.task.start(asyncio.sleep(0), TaskKind.COMMAND)
    recorded.task.stop()
    await settle()
    recorded.task.start(recorded.until_the_gate_opens(), TaskKind.COMMAND)
    recorded.task.become(TaskKind.ANSWER)
    await settle()
    assert recorded.task.is_answering


async def test_waiting_ends_when_no_task_is_running(recorded: Recorded) -> None:
    await recorded.task.wait()
    recorded.task.start(recorded.until_the_gate_opens(), TaskKind.MESSAGE)
    asyncio.get_running_loop().call_soon(recorded.gate.set)
    await recorded.task.wait()
    assert recorded.calls == ["ended, MESSAGE, running: False"]
