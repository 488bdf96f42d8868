"""Adapts the tools of MCP servers: their names, their effects, and their results as text."""

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.config.permissions import Effect, effect_of_server
from prompt_objects.utils.text import valid_unicode

if TYPE_CHECKING:
    from mcp.types import CallToolResult, ContentBlock
    from mcp.types import Tool as ServerTool


_MAX_NAME_LENGTH = 64
_MAX_RESULT_LENGTH = 10_000_000
_INVALID = re.compile(r"[^A-Za-z0-9_-]")


def name_for(server: str, tool: str) -> str:
    """Return the name by which models call a tool: `server_tool`, shortened with a digest if it is not valid."""
    name = f"{server}_{tool}"
    if not _INVALID.search(name) and len(name) <= _MAX_NAME_LENGTH:
        return name
    digest = hashlib.sha256(tool.encode(errors="replace")).hexdigest()[:8]
    return f"{_INVALID.sub('_', name)[: _MAX_NAME_LENGTH - 9]}_{digest}"


def effect_of(tool: "ServerTool", server: ServerConfig) -> Effect:
    """Return a tool's effect: the strongest possible, unless the user trusts the hints of the server."""
    if server.trust_hints and tool.annotations and tool.annotations.read_only_hint:
        return "read"
    return effect_of_server(server.url)


def text_from(result: "CallToolResult") -> str:
    """Return a result as text; other content is described by its kind, and a result that is too long is truncated."""
    parts = [_part(block) for block in result.content]
    if not any(parts) and result.structured_content is not None:
        parts = [json.dumps(result.structured_content, ensure_ascii=False)]
    text = "\n".join(parts)
    if len(text) > _MAX_RESULT_LENGTH:
        text = f"{text[:_MAX_RESULT_LENGTH]}\n[truncated: the server sent {len(text):,} characters]"
    return valid_unicode(text) or "(empty result)"


def _part(block: "ContentBlock") -> str:
    part: Any = block
    match part.type:
        case "text":
            return str(part.text)
        case "image" | "audio":
            return f"[{part.type}: {part.mime_type}, {len(part.data) * 3 // 4:,} bytes, which cannot be shown]"
        case "resource_link":
            return f"[resource: {part.uri}, {part.title or part.name}]"
    text = getattr(part.resource, "text", None)
    content = "which cannot be shown" if text is None else f"with the content:\n{text}"
    return f"[resource: {part.resource.uri}, {content}]"
