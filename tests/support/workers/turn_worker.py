"""A process that has a turn going on in a session of the scout, until it is told to end it, or killed.

turn_worker.py FOLDER SESSION_ID

It says "at it" once its model is asked, answers when a line comes, and says "done" when the turn has ended.
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
