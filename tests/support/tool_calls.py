"""Tool calls in tests, as a turn makes them, with arguments as a model sends them."""

import asyncio
from pathlib import Path
from typing import Any

from prompt_objects.environment.environment import Environment
from prompt_objects.runtime.context import Context
from prompt_objects.tools.base import Tool


def context_of(folder: Path) -> Context:
    """Return the context of a turn in an environment, which is created if there is none."""
    (folder / "objects").mkdir(parents=True, exist_ok=True)
    with Environment.open(folder) as environment:
        return environment.context()


def call(tool: Tool, folder: Path, **arguments: Any) -> str:
    """Call a tool, from a test that is not asynchronous itself."""
    return asyncio.run(as_coroutine(tool, folder, arguments))


async def as_coroutine(tool: Tool, folder: Path, arguments: dict[str, Any]) -> str:
    return await tool.run(arguments, context_of(folder))
