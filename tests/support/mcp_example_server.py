"""A real MCP server for tests: example_server.py [stubborn | http PORT]."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from mcp import MCPError
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import (
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    EmbeddedResource,
    InputRequiredResult,
    ResourceLink,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)

server = MCPServer("example")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def look_up(name: str) -> str:
    """Look up a variable of the environment."""
    return os.environ.get(name, "(not set)")


@server.tool(annotations=ToolAnnotations(read_only_hint=True), structured_output=False)
def look_around() -> str:
    """Say which process this is, and where."""
    return f"{os.getpid()} {Path.cwd()}"


@server.tool()
def crash() -> None:
    """End at once."""
    sys.stderr.write("Traceback\nout of luck\n\n")
    sys.stderr.flush()
    os._exit(3)


@server.tool()
async def wait(seconds: float, file: str) -> str:
    """Write to a file that it began, and that it was cancelled."""
    note(file, "began")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        note(file, "cancelled")
        raise
    return "waited"


@server.tool()
def spawn() -> int:
    """Start a program that keeps running."""
    return subprocess.Popen(["sleep", "600"]).pid


@server.tool(structured_output=False)
def show() -> list[object]:
    """Answer with all kinds of content."""
    text = TextResourceContents(uri="note://1", text="remember")
    return [
        TextContent(type="text", text="first"),
        Image(data=b"\0" * 3000, format="png"),
        ResourceLink(type="resource_link", uri="file:///a.txt", name="a"),
        EmbeddedResource(type="resource", resource=text),
        TextContent(type="text", text="last"),
    ]


@server.tool()
def fail() -> None:
    """Fail."""
    raise ToolError("there is no such thing")


@server.tool()
def refuse(code: int, message: str) -> None:
    """Answer with an error of the protocol."""
    raise MCPError(code, message)


@server.tool()
def order(context: Context) -> CallToolResult | InputRequiredResult:
    """Ask the user what to order."""
    if not context.input_responses:
        sizes = {"type": "string", "enum": ["small", "large"]}
        schema = {"type": "object", "properties": {"size": sizes}, "required": ["size"]}
        question = ElicitRequest(params=ElicitRequestFormParams(message="Which size?", requested_schema=schema))
        return InputRequiredResult(input_requests={"size": question})
    return CallToolResult(content=[TextContent(text=str(context.input_responses["size"]))])


@server.tool(name="odd/name.1")
def odd() -> str:
    """Have a name that models cannot use."""
    return "odd"


def note(file: str, text: str) -> None:
    Path(file).write_text(text)


def main() -> None:
    match sys.argv[1:]:
        case ["http", port]:
            server.run("streamable-http", port=int(port))
        case ["stubborn"]:
            server.run()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        case _:
            server.run()


if __name__ == "__main__":
    main()
