"""A process that opens an environment, and so migrates it, until it is done or killed.

Given a number, it kills itself before it changes something on the disk for the so-manieth time.
"""

import os
import signal
import sys

from prompt_objects.environment.environment import Environment

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.chmod", "os.utime"}
_WRITING = os.O_WRONLY | os.O_RDWR


def kill_before(number: int) -> None:
    left = number

    def hook(event: str, details: tuple[object, ...]) -> None:
        nonlocal left
        writes = event == "open" and isinstance(details[2], int) and details[2] & _WRITING
        if writes or event in _CHANGES:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


if len(sys.argv) > 2:
    sys.dont_write_bytecode = True
    kill_before(int(sys.argv[2]))
with Environment.open(sys.argv[1], environ={}) as environment:
    sys.stdout.write("\n".join(environment.notices))
