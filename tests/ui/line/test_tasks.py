"""One thing at a time is under way for the person (ui/work.py)."""

import asyncio

import pytest

from prompt_objects.ui.line.tasks import BackgroundTasks, ForegroundTask, TaskKind


class Told:
    """A piece of work, and what was told of it."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.gate = asyncio.Event()
        self.work = ForegroundTask(
            BackgroundTasks(self._fail), lambda: self._tell("ended"), lambda: self._tell("leave")
        )

    def _tell(self, what: str) -> None:
        self.told.append(f"{what}, {self.work.kind.name}, under way: {self.work.is_under_way}")

    def _fail(self, defect: BaseException) -> None:
        self.told.append(repr(defect))

    async def until_the_gate_opens(self) -> None:
        await self.gate.wait()


@pytest.fixture
async def told() -> Told:
    return Told()


async def settle() -> None:
    """Let everything that can go on go on."""
    for _ in range(5):
        await asyncio.sleep(0)


ANSWERS = [TaskKind.MESSAGE, TaskKind.ANSWER, TaskKind.WATCH]


@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_is_stopped_also_before_it_has_begun(told: Told, kind: TaskKind) -> None:
    told.work.start(told.until_the_gate_opens(), kind)
    assert told.work.is_answering
    told.work.stop()
    assert told.work.is_under_way
    assert not told.work.is_answering
    await settle()
    assert told.told == [f"ended, {kind.name}, under way: False"]


async def test_what_cleans_up_after_a_stop_is_not_stopped_by_another_one(told: Told) -> None:
    async def cleaning_up() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await told.gate.wait()
            told.told.append("clean")

    told.work.start(cleaning_up(), TaskKind.MESSAGE)
    await settle()
    for _ in range(3):
        told.work.stop()
        await settle()
    assert told.told == []
    assert told.work.is_under_way
    told.gate.set()
    await settle()
    assert told.told == ["clean", "ended, MESSAGE, under way: False"]


async def test_a_command_is_done_to_its_end_unless_it_turns_out_to_be_an_answer(told: Told) -> None:
    told.work.start(told.until_the_gate_opens(), TaskKind.COMMAND)
    told.work.stop()
    await settle()
    assert told.work.is_under_way
    assert told.told == []
    told.work.kind = TaskKind.ANSWER
    told.work.stop()
    await settle()
    assert told.told == ["ended, ANSWER, under way: False"]


async def test_who_leaves_leaves_at_once_where_nothing_is_under_way(told: Told) -> None:
    told.work.leave()
    assert told.told == ["leave, COMMAND, under way: False"]


async def test_who_leaves_during_an_answer_leaves_after_it_has_stopped(told: Told) -> None:
    told.work.start(told.until_the_gate_opens(), TaskKind.MESSAGE)
    told.work.leave()
    assert told.told == []
    await settle()
    assert told.told == ["ended, MESSAGE, under way: False", "leave, MESSAGE, under way: False"]


async def test_who_leaves_by_a_command_leaves_after_it(told: Told) -> None:
    async def leaving() -> None:
        told.work.leave()
        await told.gate.wait()

    told.work.start(leaving(), TaskKind.COMMAND)
    await settle()
    assert told.told == []
    told.gate.set()
    await settle()
    assert told.told == ["ended, COMMAND, under way: False", "leave, COMMAND, under way: False"]


async def test_one_thing_may_follow_another_and_a_stop_holds_for_one_only(told: Told) -> None:
    for _ in range(2):
        told.work.start(told.until_the_gate_opens(), TaskKind.MESSAGE)
        assert told.work.is_answering
        told.work.stop()
        await settle()
    assert told.told == ["ended, MESSAGE, under way: False"] * 2


async def test_what_goes_on_aside_ends_by_itself(told: Told) -> None:
    told.work.start(told.until_the_gate_opens(), TaskKind.MESSAGE)
    told.work.aside(asyncio.sleep(0))
    await settle()
    assert told.work.is_answering
    assert told.told == []
    told.gate.set()
    await settle()
    assert told.told == ["ended, MESSAGE, under way: False"]


async def test_a_defect_is_told_and_it_has_ended_nevertheless(told: Told) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    told.work.start(broken(), TaskKind.MESSAGE)
    await settle()
    assert told.told == ["ZeroDivisionError()", "ended, MESSAGE, under way: False"]


def test_only_a_message_that_was_not_sent_comes_back() -> None:
    assert [kind for kind in TaskKind if kind.gives_back] == [TaskKind.MESSAGE, TaskKind.WATCH]


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("way", ["stop", "leave"])
async def test_a_command_that_was_to_be_stopped_ends_where_it_would_become_an_answer(
    told: Told, kind: TaskKind, way: str
) -> None:
    async def becoming() -> None:
        await told.gate.wait()
        told.work.become(kind)
        await asyncio.sleep(0)
        told.told.append("answering")

    told.work.start(becoming(), TaskKind.COMMAND)
    await settle()
    told.work.stop() if way == "stop" else told.work.leave()
    await settle()
    assert told.told == []
    told.gate.set()
    await settle()
    assert told.told == [
        f"{way}, {kind.name}, under way: False" for way in ("ended", "leave")[: 1 + (way == "leave")]
    ]


async def test_a_stop_of_a_command_holds_for_that_one_only(told: Told) -> None:
    told.work.start(asyncio.sleep(0), TaskKind.COMMAND)
    told.work.stop()
    await settle()
    told.work.start(told.until_the_gate_opens(), TaskKind.COMMAND)
    told.work.become(TaskKind.ANSWER)
    await settle()
    assert told.work.is_answering
