"""A child process that uses a store until it is killed, and reports every operation before and after."""

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

STEP = 10  # an operation uses at most this many numbers for its messages


def in_child(work: Callable[[int], int]) -> tuple[int, int]:
    """Fork a child that does some work and reports it to a pipe; return its process ID and the pipe to read."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work_and_leave(work, writing)
    os.close(writing)
    return child, reading


def outcome_of(child_and_pipe: tuple[int, int]) -> tuple[bytes, int]:
    """Wait until a child has ended or was killed; return its output and exit code."""
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
    except BaseException:  # noqa: BLE001 - reported, and shown by the exit code
        traceback.print_exc()
    finally:
        os._exit(code)  # in any case, the child must not continue as its parent


class Plan(msgspec.Struct, frozen=True):
    """The plan of a child: its own sessions, the shared one, and the numbers for messages.

    The number rises by `step` with each operation, so that concurrent children use different ones.
    """

    seed: float
    state: State
    shared: str
    number: int
    step: int

    def choose(self, choose: random.Random, state: State, number: int) -> Operation:
        """Choose the next operation; a single child does not change the shared session."""
        if self.step > STEP and choose.random() < 0.3:
            return Operation("share", self.shared, (number,))
        return choose_operation(choose, state, number)


class Life:
    """One of several concurrent children; each has its own sessions, and all share one."""

    def __init__(self, url: str, plan: "Plan") -> None:
        self._url, self._plan = url, plan
        self._child, self._reading = in_child(self._live)
        self._output = b""

    def begin(self) -> None:
        """Wait until the child is running."""
        self._output += os.read(self._reading, 65536)

    def end(self) -> tuple[list[Operation], Operation | None]:
        """Kill the child; return the operations it acknowledged and the one it had started."""
        os.kill(self._child, signal.SIGKILL)
        output, code = outcome_of((self._child, self._reading))
        assert code == -signal.SIGKILL, "it ended by itself"
        *lines, _ = (self._output + output).split(b"\n")  # an incomplete line is the last one
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
