"""Faults at the n-th disk operation of a program: it fails, is half done, or the program is killed there.

They are injected below Python if a C compiler is available (see `preloaded`), otherwise in the functions of `os`;
for that, import this module before any module that keeps a reference to a function of `os`.
"""

import ctypes
import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

__all__ = ["Fault", "arm", "disarm", "preloaded"]

_KILL = 0
_SOURCE = Path(__file__).with_name("faults.c")
_ON_DESCRIPTOR = ("write", "pwrite", "fsync", "fdatasync", "ftruncate")
_ON_NAME = ("replace", "rename", "unlink", "mkdir")


class Fault(Struct, frozen=True):
    """A fault: an error of the system, once or from then on, or a kill; with `half` a write is done by half."""

    error: int
    lasting: bool = False
    half: bool = False

    @classmethod
    def named(cls, words: str) -> "Fault":
        """Read a fault such as "ENOSPC", "EIO lasting", "ENOSPC lasting half", "KILL", "KILL half"."""
        name, *more = words.split()
        error = _KILL if name == "KILL" else getattr(errno, name)
        return cls(error, lasting="lasting" in more, half="half" in more)


def preloaded(folder: Path) -> dict[str, str]:
    """Compile the library that injects faults below Python; return the environment variables for it, if possible."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        return {}
    library = folder / "faults.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(_SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return {"LD_PRELOAD": str(library)}


class _Wrapped:
    """Injects faults into the functions of `os`, as the library does for those of the system."""

    def __init__(self) -> None:
        self._fault = Fault(_KILL)
        self._at = self._asked = 0
        for name in (*_ON_DESCRIPTOR, *_ON_NAME, "open"):
            setattr(os, name, self._faulty(name, getattr(os, name)))

    def faults_arm(self, at: int, error: int, lasting: int, half: int) -> None:
        self._at, self._asked = at, 0
        self._fault = Fault(error, lasting=bool(lasting), half=bool(half))

    def faults_disarm(self) -> int:
        self._at = 0
        return self._asked

    def _faulty(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def faulty(*arguments: Any, **options: Any) -> Any:
            if not self._at or not _concerns_disk(name, arguments):
                return call(*arguments, **options)
            self._asked += 1
            if self._asked < self._at or (self._asked > self._at and not self._fault.lasting):
                return call(*arguments, **options)
            if self._fault.half and self._asked == self._at and name in ("write", "pwrite"):
                half = bytes(arguments[1])[: len(arguments[1]) // 2]
                result = call(arguments[0], half, *arguments[2:])
                if self._fault.error:
                    return result
            if not self._fault.error:
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(self._fault.error, os.strerror(self._fault.error))

        return faulty


def _concerns_disk(name: str, arguments: tuple[Any, ...]) -> bool:
    if name == "open":
        writes = arguments[1] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        return bool(writes) and not str(arguments[0]).startswith("/dev/")
    if name in _ON_DESCRIPTOR:
        mode = os.fstat(arguments[0]).st_mode
        return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
    return True


_FAULTS: Any = ctypes.CDLL(None)
if not hasattr(_FAULTS, "faults_arm"):
    _FAULTS = _Wrapped()


def arm(fault: Fault, at: int) -> None:
    """Inject the fault into the `at`-th operation from now on, counted from 1."""
    _FAULTS.faults_arm(at, fault.error, int(fault.lasting), int(fault.half))


def disarm() -> int:
    """End the faults; return the number of operations since they started."""
    return int(_FAULTS.faults_disarm())
