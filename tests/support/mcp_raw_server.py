"""A handwritten server that violates the protocol: raw_server.py MODE."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

MODE = sys.argv[1] if len(sys.argv) > 1 else "plain"
SCHEMA = {"type": "object"}


def write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def send(request: dict[str, Any], **answer: Any) -> None:
    write(json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer}))


def close() -> None:
    """Send nothing more but keep running, even if the input is closed."""
    with Path("pids").open("a") as file:
        file.write(f"{os.getpid()}\n")
    os.close(1)
    time.sleep(1.2)
    os._exit(0)


def list_tools(request: dict[str, Any]) -> None:
    tools: list[Any] = [{"name": "get", "inputSchema": SCHEMA}]
    match MODE:
        case "faulty":
            tools += [{"name": "other", "inputSchema": {**SCHEMA, "properties": 7}}, {"inputSchema": SCHEMA}]
        case "long":
            tools[0]["description"] = "x" * 3000
        case "many":
            tools += [{"name": f"get{number}", "inputSchema": SCHEMA} for number in range(20_000)]
        case "half a list":
            write('{"jsonrpc": "2.0", "id": 2, "result": {"tools": [')
            return
        case "listing":
            both = f"{json.dumps(tools[0])}, {sys.argv[2]}"
            write(f'{{"jsonrpc": "2.0", "id": {json.dumps(request["id"])}, "result": {{"tools": [{both}]}}}}')
            return
    send(request, result={"tools": tools})


def call(request: dict[str, Any]) -> None:
    text = "ok"
    match MODE:
        case "silent":
            return
        case "closing":
            close()
        case "result":
            send(request, result=json.loads(sys.argv[2]))
            return
        case "nobody":
            write('{"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "Parse error"}}')
            return
        case "asks":
            params = {"message": "Who are you?", "requestedSchema": json.loads(sys.argv[2]), "mode": "form"}
            write(json.dumps({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": params}))
            answers = (json.loads(line) for line in iter(sys.stdin.readline, ""))
            text = json.dumps(next((answer["result"] for answer in answers if "result" in answer), None))
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
    send(request, result={"content": [{"type": "text", "text": text}]})


for line in iter(sys.stdin.readline, ""):
    message = json.loads(line)
    if MODE == "strict" and message["method"] == "server/discover":
        sys.exit(f"ConnectionError: expect initialized request, but received: {message['method']}")
    match message.get("method"):
        case "initialize":
            info = {"name": "raw", "version": "1"}
            version = message["params"]["protocolVersion"]
            send(message, result={"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info})
        case "tools/list":
            list_tools(message)
        case "tools/call":
            call(message)
        case _ if "id" in message:
            send(message, error={"code": -32601, "message": "Method not found"})
