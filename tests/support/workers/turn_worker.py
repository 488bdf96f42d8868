"""A process that runs a turn in a session of the scout until it gets an answer or is killed.

turn_worker.py FOLDER SESSION_ID

It prints "at it" when its model gets a request, replies with the line it reads, and prints "done" after the turn.
"""

import asyncio
import sys

from prompt_objects.environment.environment import Environment
from prompt_objects.llm.base import Request
from prompt_objects.testing import ScriptedLLM


def answer(_request: Request) -> str:
    say("at it")
    return sys.stdin.readline().strip()


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def main(folder: str, session_id: str) -> None:
    async with Environment.open(folder, llm=ScriptedLLM([answer]), environ={}) as env:
        await env["scout"].receive("From elsewhere", session=env.session_manager.get(session_id))
        say("done")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
