"""A child that works on a store until it is killed, and tells of every deed before it and after."""

import os
import random
import signal
import traceback
from collections.abc import Callable
from typing import NoReturn

import msgspec
from deeds import Deed, carry_out, choose_deed
from expectation import State, after

from prompt_objects.sessions.stores import open_store

__all__ = ["STEP", "Life", "Plan", "in_child"]

STEP = 10  # a deed takes so many numbers for its messages at most


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
    told = b""
    while data := os.read(reading, 65536):
        told += data
    os.close(reading)
    return told, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


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

    From one deed to the next the number rises by `step`, so that children side by side use different ones.
    """

    seed: float
    state: State
    shared: str
    number: int
    step: int

    def choose(self, choose: random.Random, state: State, number: int) -> Deed:
        """Choose what to do next; alone, a child leaves the shared session as it is."""
        if self.step > STEP and choose.random() < 0.3:
            return Deed("share", self.shared, (number,))
        return choose_deed(choose, state, number)


class Life:
    """One of several children at work side by side; each has sessions of its own, and one is shared by all."""

    def __init__(self, url: str, plan: "Plan") -> None:
        self._url, self._plan = url, plan
        self._child, self._reading = in_child(self._live)
        self._told = b""

    def begin(self) -> None:
        """Wait until it is at work."""
        self._told += os.read(self._reading, 65536)

    def end(self) -> tuple[list[Deed], Deed | None]:
        """Kill it; return the deeds that it told were done, and the one that it had begun."""
        os.kill(self._child, signal.SIGKILL)
        told, code = outcome_of((self._child, self._reading))
        assert code == -signal.SIGKILL, "it ended by itself"
        *lines, _ = (self._told + told).split(b"\n")  # a line that was not told whole was followed by nothing
        deeds = [msgspec.json.decode(line, type=Deed) for line in lines[::2]]
        return (deeds, None) if len(lines) % 2 == 0 else (deeds[:-1], deeds[-1])

    def _live(self, writing: int) -> int:
        plan = self._plan
        store, state, number, choose = open_store(self._url), plan.state, plan.number, random.Random(plan.seed)
        while True:
            deed = plan.choose(choose, state, number)
            os.write(writing, msgspec.json.encode(deed) + b"\n")
            carry_out(store, deed, state.get(deed.id))
            os.write(writing, b"done\n")
            state = state if deed.kind == "share" else after(state, deed)
            number += plan.step
