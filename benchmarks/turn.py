"""The cost of a turn above the bare openai client, with the same server on the loopback.

    python benchmarks/turn.py [--save] [--rounds N]

All send the same messages alternately to a server in another process that responds immediately: the client's own
method for chat completions; the client's bare `post`, which validates neither requests nor responses; and a turn,
which also reads the session and saves two messages durably. Exits with an error if a turn costs more than 5 ms above
the client's own method.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI, AsyncStream

from machine import describe
from prompt_objects.environment.environment import Environment
from prompt_objects.llm.chat_api.assemble import assemble
from prompt_objects.message import Message

HERE = Path(__file__).parent
SERVER = "tests.support.openai_server"
MOST = 5.0  # ms
WARM_UP = 5  # rounds that do not count
PROMPT = "You answer briefly."
QUESTION = "What is in README.md?"
EARLIER: list[Message] = [
    {"role": "user", "content": "And what does the next part of it say? " * 3},
    {"role": "assistant", "content": "It says what the project is for. " * 12},
]


@contextmanager
def server() -> Iterator[str]:
    """Run the server in a separate process; yield its base URL."""
    command = [sys.executable, "-m", SERVER, "--reply", "It says what the project is for. " * 8]
    with subprocess.Popen(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        finally:
            process.terminate()


@asynccontextmanager
async def environment(folder: Path, base_url: str) -> AsyncIterator[Environment]:
    """Make an environment of one prompt object whose model is the server's."""
    (folder / "objects").mkdir()
    (folder / "objects" / "reader.yaml").write_text(f"name: reader\nprompt: {PROMPT}\n")
    environ = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "sk-unused"}
    async with Environment.open(folder, model="small", environ=environ) as env:
        yield env


def body(messages: Any) -> dict[str, Any]:
    """Return the request that all of them send."""
    return {"model": "small", "messages": messages, "stream": True, "stream_options": {"include_usage": True}}


async def typed(client: AsyncOpenAI, messages: Any) -> str:
    """Ask with the client's method for chat completions."""
    chunks: Any = await client.chat.completions.create(**body(messages))
    parts = [chunk.choices[0].delta.content or "" async for chunk in chunks if chunk.choices]
    return "".join(parts)


async def posted(client: AsyncOpenAI, messages: Any) -> str:
    """Ask with nothing but the client's connections and its reading of event streams."""
    stream = AsyncStream[object]
    chunks: Any = await client.post(
        "/chat/completions", body=body(messages), cast_to=object, stream=True, stream_cls=stream
    )
    parts = [chunk["choices"][0]["delta"].get("content") or "" async for chunk in chunks if chunk["choices"]]
    return "".join(parts)


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Return the duration in milliseconds."""
    start = time.perf_counter()
    await work()
    return (time.perf_counter() - start) * 1000


async def compare(base_url: str, earlier: int, rounds: int) -> list[float]:
    """Return the medians, in ms, of `typed`, of `posted` and of a turn in a session of `earlier` messages."""
    history = EARLIER * (earlier // 2)
    asked = assemble(PROMPT, [*history, {"role": "user", "content": QUESTION}]).messages
    client = AsyncOpenAI(base_url=base_url, api_key="sk-unused")
    times = []
    with tempfile.TemporaryDirectory(prefix=".benchmark-", dir=Path.cwd()) as folder:
        async with client, environment(Path(folder), base_url) as env:
            reader = env["reader"]
            for number in range(rounds + WARM_UP):
                session = reader.session_manager.create(f"Notes {number}")
                session.append(*history)
                ways = (
                    lambda: typed(client, asked),
                    lambda: posted(client, asked),
                    partial(reader.receive, QUESTION, env.context(), session),
                )
                times.append([await timed(way) for way in ways])
    return [statistics.median(column) for column in zip(*times[WARM_UP:], strict=True)]


def main() -> int:
    """Measure, print and, with `--save`, save; return 1 if the bound is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save", action="store_true", help="keep the table in benchmarks/results/turn.md")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    table = [
        "| messages before | chat.completions | post | a turn | above the first | above the second | ratio |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    highest = 0.0
    with server() as base_url:
        for earlier in (0, 200, 2000):
            times = asyncio.run(compare(base_url, earlier, options.rounds))
            above = times[2] - times[0]
            highest = max(highest, above)
            cells = " | ".join(f"{time:.2f} ms" for time in (*times, above, times[2] - times[1]))
            table.append(f"| {earlier} | {cells} | {times[2] / times[0]:.2f} |")
    where = describe(Path.cwd())
    heading = f"# A turn beside the bare openai client\n\n{where} Medians of {options.rounds} rounds.\n"
    text = "\n".join([heading, *table]) + "\n"
    print(text)
    if options.save:
        results = HERE / "results"
        results.mkdir(exist_ok=True)
        (results / "turn.md").write_text(text)
    return int(highest > MOST)


if __name__ == "__main__":
    sys.exit(main())
