"""Runs a program, and kills it with all its child processes when the parent process ends.

Usage: supervisor.py PARENT PROGRAM ARGUMENT…, where PARENT is a process id. This is a script that uses only the
standard library. The program inherits the streams and talks to the parent directly. Everything that it starts is in
the supervisor's process group, which is killed when the program ends or the parent is gone.
"""

import os
import signal
import subprocess
import sys
import threading
import time

_POLL_SECONDS = 0.3
_GRACE_SECONDS = 1.0


def main() -> None:
    """Start the program, wait for it, and kill the process group."""
    parent = int(sys.argv[1])
    if os.getpgid(0) != os.getpid():
        os.setpgid(0, 0)  # the group that is killed below must contain no other process
    try:
        program = subprocess.Popen(sys.argv[2:])  # noqa: S603 - the user trusts it
    except (OSError, ValueError) as error:
        sys.exit(f"{sys.argv[2]} cannot be run: {getattr(error, 'strerror', None) or error}")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # the program handles them; the supervisor ends last
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)  # otherwise the parent would not see that the program closed them
    os.dup2(nothing, 1)
    threading.Thread(target=_watch_parent, args=(parent,), daemon=True).start()
    program.wait()
    os.killpg(0, signal.SIGKILL)


def _watch_parent(parent: int) -> None:
    # Polling is safer than a pipe that closes with the parent: a process that the parent forked may hold it open.
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os.killpg(0, signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
