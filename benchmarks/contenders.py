"""The same work with other libraries for tool calls: run by `agents.py` with a Python that has them.

    -P contenders.py NAME BASE_URL cost MODEL ROUNDS     milliseconds of the bare client, and of a turn, in turn
    -P contenders.py NAME BASE_URL fan MODEL NUMBER ROUNDS    seconds of a turn, one or so many at once, and a turn
    -P contenders.py NAME BASE_URL flight NUMBER         memory and seconds of so many turns at once

Prints a JSON object. A turn has a prompt and 20 tools, and streams.
"""

import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from openai import AsyncOpenAI

PROMPT = "You answer briefly."
QUESTION = "What is in README.md?"
WARM_UP = 10  # turns that do not count
NAMES = [f"tool_{number:02}" for number in range(20)]
DESCRIPTION = "Looks at the files that the message speaks of, and returns what there is to say about them."
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "message": {"type": "string", "description": "What to look for."},
        "folder": {"type": "string", "description": "Where to look, by default everywhere."},
        "most": {"type": "integer", "description": "How many results there may be."},
    },
    "required": ["message"],
}

Begin: TypeAlias = Callable[[int], Awaitable[Callable[[], Awaitable[str]]]]
"""Gets what is needed for the turn of a number, and returns what carries it out and returns the answer's text."""


@asynccontextmanager
async def bare(base_url: str, model: str) -> AsyncIterator[Begin]:
    """Send requests with the client's own method and answer tool calls in a short loop."""
    tools: Any = [
        {"type": "function", "function": {"name": name, "description": DESCRIPTION, "parameters": PARAMETERS}}
        for name in NAMES
    ]
    async with AsyncOpenAI(base_url=base_url, api_key="sk-unused", max_retries=0) as client:

        async def turn() -> str:
            messages: Any = [{"role": "system", "content": PROMPT}, {"role": "user", "content": QUESTION}]
            while True:
                reply, calls = await ask(client, model, messages, tools)
                if not calls:
                    return reply
                messages.append({"role": "assistant", "content": reply, "tool_calls": calls})
                messages += [{"role": "tool", "tool_call_id": call["id"], "content": "Done."} for call in calls]

        async def begin(_number: int) -> Callable[[], Awaitable[str]]:
            return turn

        yield begin


async def ask(client: AsyncOpenAI, model: str, messages: Any, tools: Any) -> tuple[str, list[dict[str, Any]]]:
    """Send one request; return the text and the calls."""
    stream = await client.chat.completions.create(
        model=model, messages=messages, tools=tools, stream=True, stream_options={"include_usage": True}
    )
    reply, calls = "", []
    async for chunk in stream:
        for choice in chunk.choices:
            reply += choice.delta.content or ""
            calls += [call.model_dump(exclude={"index"}) for call in choice.delta.tool_calls or ()]
    return reply, calls


@asynccontextmanager
async def prompt_objects(base_url: str, model: str) -> AsyncIterator[Begin]:
    """Let a prompt object reply in its own session, saved durably in a file."""
    from prompt_objects.environment.environment import Environment
    from prompt_objects.tools.base import Tool

    async def run(_arguments: dict[str, Any], _context: object) -> str:
        return "Done."

    tools = [Tool(name, DESCRIPTION, PARAMETERS, run) for name in NAMES]
    with tempfile.TemporaryDirectory(prefix=".benchmark-", dir=Path.cwd()) as folder:
        objects = Path(folder) / "objects"
        objects.mkdir()
        written = f"name: reader\ncapabilities: [{', '.join(NAMES)}]\nprompt: {PROMPT}\n"
        (objects / "reader.yaml").write_text(written)
        environ = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "sk-unused"}
        async with Environment.open(folder, model=model, tools=tools, environ=environ) as environment:
            reader = environment["reader"]

            async def begin(number: int) -> Callable[[], Awaitable[str]]:
                session = reader.session_manager.create(f"Notes {number}")

                async def turn() -> str:
                    return (await reader.receive(QUESTION, environment.context(), session)).text

                return turn

            yield begin


@asynccontextmanager
async def openai_agents(base_url: str, model: str) -> AsyncIterator[Begin]:
    """Let an agent of openai-agents reply, without a session and without tracing."""
    agents: Any = import_module("agents")  # not the script of that name in this folder

    agents.set_tracing_disabled(True)

    async def run(_context: object, _arguments: str) -> str:
        return "Done."

    tools = [agents.FunctionTool(name, DESCRIPTION, PARAMETERS, run, strict_json_schema=False) for name in NAMES]
    async with AsyncOpenAI(base_url=base_url, api_key="sk-unused", max_retries=0) as client:
        settings = agents.ModelSettings(include_usage=True)
        chosen = agents.OpenAIChatCompletionsModel(model, client)
        agent = agents.Agent("reader", instructions=PROMPT, model=chosen, tools=tools, model_settings=settings)

        async def turn() -> str:
            result = agents.Runner.run_streamed(agent, QUESTION)
            async for _ in result.stream_events():
                pass
            return str(result.final_output)

        async def begin(_number: int) -> Callable[[], Awaitable[str]]:
            return turn

        yield begin


@asynccontextmanager
async def pydantic_ai(base_url: str, model: str) -> AsyncIterator[Begin]:
    """Let an agent of pydantic-ai reply."""
    import pydantic_ai as library  # type: ignore[import-not-found]
    from pydantic_ai.models.openai import OpenAIChatModel  # type: ignore[import-not-found]
    from pydantic_ai.providers.openai import OpenAIProvider  # type: ignore[import-not-found]

    async def run(**_arguments: Any) -> str:
        return "Done."

    async def listen(_context: object, events: AsyncIterator[object]) -> None:
        async for _ in events:
            pass

    tools = [library.Tool.from_schema(run, name, DESCRIPTION, PARAMETERS) for name in NAMES]
    async with AsyncOpenAI(base_url=base_url, api_key="sk-unused", max_retries=0) as client:
        chosen = OpenAIChatModel(model, provider=OpenAIProvider(openai_client=client))
        agent = library.Agent(chosen, instructions=PROMPT, tools=tools)

        async def turn() -> str:
            result = await agent.run(QUESTION, event_stream_handler=listen)
            return str(result.output)

        async def begin(_number: int) -> Callable[[], Awaitable[str]]:
            return turn

        yield begin


Contender: TypeAlias = Callable[[str, str], AbstractAsyncContextManager[Begin]]

CONTENDERS: dict[str, Contender] = {
    "bare": bare,
    "prompt_objects": prompt_objects,
    "openai-agents": openai_agents,
    "pydantic-ai": pydantic_ai,
}


async def cost(contender: Contender, base_url: str, model: str, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of each turn, and of the bare client's between them."""
    times: dict[str, list[float]] = {"bare": [], "turn": []}
    async with bare(base_url, model) as begin_bare, contender(base_url, model) as begin:
        for number in range(rounds + WARM_UP):
            for name, beginning in (("bare", begin_bare), ("turn", begin)):
                turn = await beginning(number)
                start = time.perf_counter()
                text = await turn()
                times[name].append((time.perf_counter() - start) * 1000)
                assert text.startswith("It says"), text
    return {name: measured[WARM_UP:] for name, measured in times.items()}


async def fan(contender: Contender, base_url: str, model: str, number: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of a turn, then one or `number` concurrent turns, then a turn: a delegation."""
    times: dict[str, list[float]] = {"1": [], str(number): []}
    async with contender(base_url, model) as begin:
        for each in range(rounds + 1):
            for width, measured in times.items():
                first, last, *between = [await begin(each) for _ in range(int(width) + 2)]
                start = time.perf_counter()
                await first()
                await asyncio.gather(*(turn() for turn in between))
                await last()
                if each:  # the first round warms up
                    measured.append(time.perf_counter() - start)
    return times


async def flight(contender: Contender, base_url: str, number: int) -> dict[str, float]:
    """Return the growth of the process in kB per concurrent turn, and the seconds for all."""
    async with contender(base_url, f"gather-{WARM_UP}") as begin:
        turns = [await begin(each) for each in range(WARM_UP)]
        await asyncio.gather(*(turn() for turn in turns))
    async with contender(base_url, f"gather-{number}") as begin:
        turns = [await begin(each) for each in range(number)]
        before, start = peak(), time.perf_counter()
        texts = await asyncio.gather(*(turn() for turn in turns))
        assert all(text.startswith("It says") for text in texts)
        return {"kB": (peak() - before) / number, "seconds": time.perf_counter() - start}


def peak() -> float:
    """Return the most memory that this process had so far, in kB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1024 if sys.platform == "darwin" else most


def main() -> None:
    """Run the measurement that the arguments name."""
    name, base_url, what, *more = sys.argv[1:]
    contender = CONTENDERS[name]
    measured: object
    if what == "cost":
        measured = asyncio.run(cost(contender, base_url, more[0], int(more[1])))
    elif what == "fan":
        measured = asyncio.run(fan(contender, base_url, more[0], int(more[1]), int(more[2])))
    else:
        measured = asyncio.run(flight(contender, base_url, int(more[0])))
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
