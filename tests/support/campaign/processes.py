"""A child that works on a store until it is killed, and tells of every operation before it and after."""

import os
import random
import signal
import traceback
from collections.abc import Callable
from typing import NoReturn

import msgspec

from prompt_objects.sessions.stores.registry import open_store
from tests.support.campaign.expectation import State, after
from tests.support.campaign.operations import Operation, carry_out, choose_operation

__all__ = ["STEP", "Life", "Plan", "in_child"]

STEP = 10  # an operation takes so many numbers for its messages at most


def in_child(work: Callable[[int], int]) -> tuple[int, int]:
    """Fork a child that does some work, which is given a pipe to tell of it; return its id and the pipe to read."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work_and_leave(work, writing)
    os.close(writing)
    return child, reading


def outcome_of(child_and_pipe: tuple[int, int]) -> tuple[bytes, int]:
    """Wait until a child has ended by itself, or was killed; return what it told and its exit code."""
    child, reading = child_and_pipe
    output = b""
    while data := os.read(reading, 65536):
        output += data
    os.close(reading)
    return output, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _work_and_leave(work: Callable[[int], int], writing: int) -> NoReturn:
    code = 1
    try:
        code = work(writing)
    except BaseException:  # noqa: BLE001 - told, and seen by the exit code
        traceback.print_exc()
    finally:
        os._exit(code)  # whatever happens, it is not to go on as its parent


class Plan(msgspec.Struct, frozen=True):
    """What a child is to do: the sessions that are its own, the one that is shared, and the numbers for messages.

    From one operation to the next the number rises by `step`, so that children side by side use different ones.
    """

    seed: float
    state: State
    shared: str
    number: int
    step: int

    def choose(self, choose: random.Random, state: State, number: int) -> Operation:
        """Choose what to do next; alone, a child leaves the shared session as it is."""
        if self.step > STEP and choose.random() < 0.3:
            return Operation("share", self.shared, (number,))
        return choose_operation(choose, state, number)


class Life:
    """One of several children at work side by side; each has sessions of its own, and one is shared by all."""

    def __init__(self, url: str, plan: "Plan") -> None:
        self._url, self._plan = url, plan
        self._child, self._reading = in_child(self._live)
        self._output = b""

    def begin(self) -> None:
        """Wait until it is at work."""
        self._output += os.read(self._reading, 65536)

    def end(self) -> tuple[list[Operation], Operation | None]:
        """Kill it; return the operations that it told were done, and the one that it had begun."""
        os.kill(self._child, signal.SIGKILL)
        output, code = outcome_of((self._child, self._reading))
        assert code == -signal.SIGKILL, "it ended by itself"
        *lines, _ = (self._output + output).split(b"\n")  # a line that was not told whole was followed by nothing
        operations = [msgspec.json.decode(line, type=Operation) for line in lines[::2]]
        return (operations, None) if len(lines) % 2 == 0 else (operations[:-1], operations[-1])

    def _live(self, writing: int) -> int:
        plan = self._plan
        store, state, number, choose = open_store(self._url), plan.state, plan.number, random.Random(plan.seed)
        while True:
            operation = plan.choose(choose, state, number)
            os.write(writing, msgspec.json.encode(operation) + b"\n")
            carry_out(store, operation, state.get(operation.id))
            os.write(writing, b"done\n")
            state = state if operation.kind == "share" else after(state, operation)
            number += plan.step
