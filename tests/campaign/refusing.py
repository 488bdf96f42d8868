"""Has the disk refuse the n-th thing that a turn asks of it, for every n: refusing.py FOLDER ERRNO.

What a program asks of the system is wrapped below everything of ours, before any of it is imported. Each time a
forked child does a whole turn (a message, a call, its result, an answer) and tells of every message that was saved.
"""

import errno
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ASKED = ("write", "pwrite", "fsync", "fdatasync", "replace", "rename", "unlink", "ftruncate", "open", "mkdir")


class Refusal:
    """Counts what is asked, and refuses one of it, or all from there on, with an error of the system."""

    def __init__(self) -> None:
        self.refused_at = 0
        self.error = errno.ENOSPC
        self.lasting = False
        self.asked = 0

    def wrap(self, call: Callable[..., Any], *, is_open: bool) -> Callable[..., Any]:
        """Wrap one function of `os`; opening a file for reading is never refused."""

        def asked(*arguments: Any, **options: Any) -> Any:
            writes = not is_open or arguments[1] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if self.refused_at and writes:
                self.asked += 1
                if self.asked == self.refused_at or (self.lasting and self.asked > self.refused_at):
                    raise OSError(self.error, os.strerror(self.error))
            return call(*arguments, **options)

        return asked


REFUSAL = Refusal()
_TELL = os.write
for name in _ASKED:
    setattr(os, name, REFUSAL.wrap(getattr(os, name), is_open=name == "open"))

import asyncio  # noqa: E402 - everything else comes after the wrapping

from prompt_objects.bus import MessageSaved  # noqa: E402
from prompt_objects.environment import Environment  # noqa: E402
from prompt_objects.errors import PromptObjectsError  # noqa: E402
from prompt_objects.sessions.session import Session  # noqa: E402
from prompt_objects.testing import ScriptedLLM, calls  # noqa: E402


def turn(folder: Path, session_id: str, telling: int) -> None:
    """Do a turn, and tell what was saved."""

    async def talk() -> None:
        llm = ScriptedLLM([calls(("list_files", {})), "an answer"])
        async with Environment.open(folder, llm=llm, environ={}) as env:
            session = env["scout"].session_manager.get(session_id)
            async for event in env["scout"].stream("a question", env.context(), session):
                if isinstance(event, MessageSaved):
                    _TELL(telling, json.dumps(event.message).encode() + b"\n")

    asyncio.run(talk())


def one(folder: Path, session: Session, refused_at: int) -> bool:
    """Have one thing refused in a turn of a child; False where the turn asked for less than that."""
    before = list(session.history)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            REFUSAL.refused_at, REFUSAL.asked = refused_at, 0
            turn(folder, session.id, writing)
            code = 0 if REFUSAL.asked < refused_at else 2
        except PromptObjectsError:
            code = 2
        except BaseException:  # noqa: BLE001 - told, and seen by the exit code
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    told = b""
    while data := os.read(reading, 65536):
        told += data
    os.close(reading)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 2), f"refusing {refused_at}: exit code {code}"
    check(session, before, [json.loads(line) for line in told.splitlines()], refused_at)
    return code == 2


def check(session: Session, before: list[Any], saved: list[Any], refused_at: int) -> None:
    """See that all that was acknowledged is there once and in order, and that of the rest it is whole or absent."""
    session.refresh()
    history = list(session.history)
    assert history[: len(before)] == before, refused_at
    new = history[len(before) :]
    given = [{key: value for key, value in message.items() if key != "at"} for message in new]
    assert [message for message in given if message in saved] == saved, (refused_at, given, saved)
    assert len(new) <= 4, refused_at
    assert all(isinstance(message.get("role"), str) for message in new), refused_at


def main() -> None:
    """Refuse everything that a turn asks for, one after the other, once and then for good."""
    folder, REFUSAL.error = Path(sys.argv[1]), getattr(errno, sys.argv[2])
    signal.alarm(300)
    done = []
    for lasting in (False, True):
        REFUSAL.lasting = lasting
        with Environment.open(folder, environ={}) as env:
            refused_at = 1
            while one(folder, env["scout"].session_manager.create(), refused_at):
                refused_at += 1
            assert env.store.examine(repair=True) is not None
            left = [finding for finding in env.store.examine() if not finding.place.endswith(".tmp")]
            assert not left, left
        done.append(refused_at - 1)
    print(f"{sys.argv[2]}: {done[0]} places refused once, {done[1]} from there on; nothing lost.")  # noqa: T201


if __name__ == "__main__":
    main()
