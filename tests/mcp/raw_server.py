"""A server written by hand, for what none should do: raw_server.py MODE."""

import json
import sys
from typing import Any

MODE = sys.argv[1] if len(sys.argv) > 1 else "plain"
SCHEMA = {"type": "object"}


def write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def send(request: dict[str, Any], **answer: Any) -> None:
    write(json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer}))


def call(request: dict[str, Any]) -> None:
    match MODE:
        case "silent":
            return
        case "chatty":
            write("INFO a line for a person")
        case "half":
            send(request, result={"content": [{"type": "text", "text": "\ud800"}]})
            return
        case "huge":
            send(request, result={"content": [{"type": "text", "text": "x" * 11_000_000}]})
            return
        case "error":
            send(request, error={"code": -32010, "message": f"no entry with {sys.argv[2]}"})
            return
    send(request, result={"content": [{"type": "text", "text": "ok"}]})


for line in sys.stdin:
    message = json.loads(line)
    match message["method"]:
        case "initialize":
            info = {"name": "raw", "version": "1"}
            version = message["params"]["protocolVersion"]
            send(message, result={"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info})
        case "tools/list":
            tools = [{"name": "get", "inputSchema": SCHEMA}]
            if MODE == "faulty":
                tools += [{"name": "other", "inputSchema": {**SCHEMA, "properties": 7}}, {"inputSchema": SCHEMA}]
            send(message, result={"tools": tools})
        case "tools/call":
            call(message)
        case _ if "id" in message:
            send(message, error={"code": -32601, "message": "Method not found"})
