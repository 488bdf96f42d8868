"""Other libraries' stores of conversations: run by `store.py` with a Python that has them, not directly.

    store_peers.py FOLDER ROUNDS LIBRARY MESSAGES

Prints in JSON, for a session that already has MESSAGES messages, the seconds of each append of one message and of
reading the last 50; or an error as text.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any

MESSAGE = {"role": "user", "content": "It says what the project is for. " * 8}


async def agents(folder: Path, messages: int, rounds: int) -> tuple[list[float], float]:
    """Measure the SQLiteSession of openai-agents."""
    agents: Any = import_module("agents")  # not the script of that name in this folder
    session = agents.SQLiteSession("notes", folder / f"agents-{messages}.db")
    await session.add_items([MESSAGE] * messages)
    return await timed(lambda: session.add_items([MESSAGE]), lambda: session.get_items(50), rounds)


async def langchain(folder: Path, messages: int, rounds: int) -> tuple[list[float], float]:
    """Measure the FileChatMessageHistory of langchain."""
    from langchain_community.chat_message_histories import FileChatMessageHistory  # type: ignore[import-not-found]
    from langchain_core.messages import HumanMessage, message_to_dict  # type: ignore[import-not-found]

    path = folder / f"langchain-{messages}.json"
    message = HumanMessage(MESSAGE["content"])
    path.write_text(json.dumps([message_to_dict(message)] * messages))
    history = FileChatMessageHistory(str(path))

    async def append() -> None:
        history.add_message(message)

    async def last() -> None:
        _ = history.messages[-50:]

    return await timed(append, last, rounds)


async def coda(folder: Path, messages: int, rounds: int) -> tuple[list[float], float]:
    """Measure the SessionManager of coda-code-assistant."""
    from coda.base.session.database import SessionDatabase  # type: ignore[import-not-found]
    from coda.base.session.manager import SessionManager  # type: ignore[import-not-found]

    manager = SessionManager(SessionDatabase(folder / f"coda-{messages}.db"))
    session = manager.create_session(name="notes", provider="none", model="none")
    for _ in range(messages):
        manager.add_message(session_id=session.id, role="user", content=MESSAGE["content"])

    async def append() -> None:
        manager.add_message(session_id=session.id, role="user", content=MESSAGE["content"])

    async def last() -> None:
        manager.get_messages(session.id, limit=50)

    return await timed(append, last, rounds)


async def timed(
    append: Callable[[], Awaitable[object]], last: Callable[[], Awaitable[object]], rounds: int
) -> tuple[list[float], float]:
    """Time appends, each by itself, and the reading of the last 50, the best of some."""
    appends = [await seconds(append) for _ in range(rounds)]
    return appends, min([await seconds(last) for _ in range(5)])


async def seconds(work: Callable[[], Awaitable[object]]) -> float:
    """Time one call."""
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start


async def main() -> None:
    """Measure a library if it is installed."""
    folder, rounds, library, messages = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    measure = {"openai-agents": agents, "langchain": langchain, "coda": coda}[library]
    found: object
    try:
        found = await measure(folder, messages, max(5, rounds if messages < 5000 else rounds // 8))
    except Exception as error:  # noqa: BLE001 - an error is reported next to the others' figures
        found = f"{type(error).__name__}: {error}"
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())
