"""Runs a program for just as long as whoever asked for it lives.

Usage: supervisor.py PARENT PROGRAM ARGUMENT…, where PARENT is a process id. It is a script of its own, with nothing
but the standard library. The program talks to the parent directly, over the streams that it inherits; all that it
starts belongs to the supervisor's process group, which ends as one: when the program ends, when the parent ends it,
and when the parent is gone, in whatever way.
"""

import os
import signal
import subprocess
import sys
import threading
import time

_LOOK_SECONDS = 0.3
_GRACE_SECONDS = 1.0


def main() -> None:
    """Start the program and see to its end."""
    parent = int(sys.argv[1])
    if os.getpgid(0) != os.getpid():
        os.setpgid(0, 0)  # what is ended below must be nobody else's
    try:
        program = subprocess.Popen(sys.argv[2:])  # noqa: S603 - the person trusts it
    except (OSError, ValueError) as error:
        sys.exit(f"{sys.argv[2]} cannot be run: {getattr(error, 'strerror', None) or error}")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # they are for the program; the supervisor goes last
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)  # the parent is to see when the program closes them
    os.dup2(nothing, 1)
    threading.Thread(target=_outlive, args=(parent,), daemon=True).start()
    program.wait()
    os.killpg(0, signal.SIGKILL)


def _outlive(parent: int) -> None:
    # A pipe that closes with the parent would tell at once, unless something that the parent forked holds it open.
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os.killpg(0, signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
