"""A fast chat-completions server for benchmarks; run as a process, it prints its port.

The name of the requested model selects the response:

    text              a short text
    call-3-NAME       three calls of NAME, and once there are results, the text
    gather-1000       the text, once a thousand requests are waiting for it

A suffix such as `@200` delays the response by that number of milliseconds.
"""

import asyncio
import json
import re
from typing import Any

TEXT = "It says what the project is for. " * 8
USAGE = {"prompt_tokens": 1200, "completion_tokens": 64, "total_tokens": 1264}
NAMED = re.compile(r"(?P<kind>text|call|gather)(?:-(?P<number>\d+))?(?:-(?P<tool>\w+))?(?:@(?P<ms>\d+))?")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def body(deltas: list[dict[str, Any]], finish_reason: str) -> bytes:
    """Build the events of an answer, as the body of a response."""
    common = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "quick"}
    ends: list[tuple[dict[str, Any], str | None]] = [*((delta, None) for delta in deltas), ({}, finish_reason)]
    chunks: list[dict[str, Any]] = [
        {**common, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]} for delta, end in ends
    ]
    chunks.append({**common, "choices": [], "usage": USAGE})
    events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(events), events.encode())


ANSWER = body([{"role": "assistant", "content": word + " "} for word in TEXT.split()], "stop")


def calls(number: int, tool: str) -> bytes:
    """Build an answer that calls."""
    arguments = json.dumps({"message": "Look at the README."})
    call = {"type": "function", "function": {"name": tool, "arguments": arguments}}
    made = [{"index": index, "id": f"call_{index}", **call} for index in range(number)]
    return body([{"role": "assistant", "content": None, "tool_calls": made}], "tool_calls")


class Server:
    """Answers, and counts those who wait for others."""

    def __init__(self) -> None:
        self._waiting = 0
        self._all_there = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(re.findall(rb"(?i)content-length: *(\d+)", head)[0])
                writer.write(HEAD + await self._answer(json.loads(await reader.readexactly(length))))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, request: dict[str, Any]) -> bytes:
        named = NAMED.fullmatch(request["model"])
        assert named, request["model"]
        await asyncio.sleep(int(named["ms"] or 0) / 1000)
        if named["kind"] == "gather":
            await self._gather(int(named["number"]))
        if named["kind"] == "call" and request["messages"][-1]["role"] == "user":
            return calls(int(named["number"]), named["tool"])
        return ANSWER

    async def _gather(self, number: int) -> None:
        self._waiting += 1
        if self._waiting == number:
            self._waiting = 0
            self._all_there.set()
            self._all_there = asyncio.Event()
        else:
            await self._all_there.wait()


async def main() -> None:
    """Serve until the process is ended."""
    server = await asyncio.start_server(Server().serve, "127.0.0.1", 0, backlog=2000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
