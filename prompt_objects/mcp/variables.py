"""Substitution of environment variables in the configuration of an MCP server."""

import re
from collections.abc import Mapping
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from prompt_objects.config.environment_schema import VARIABLE_PATTERN, ServerConfig
from prompt_objects.errors import ToolError

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MIN_SECRET_LENGTH = 4


class Variables:
    """Substitutes `${NAME}` in the configuration of a server."""

    def __init__(self, server: ServerConfig, environ: Mapping[str, str]) -> None:
        self._server = server
        self._environ = environ

    def config(self) -> ServerConfig:
        """Return the configuration with all variables substituted; raises `ToolError` for an unusable one."""
        server = self._server
        return replace(
            server,
            command=server.command and self._substitute(server.command),
            args=tuple(self._substitute(argument) for argument in server.args),
            env={name: self._substitute(value) for name, value in server.env.items()},
            url=server.url and self._substitute(server.url),
            headers={name: self._substitute(value, ascii_only=True) for name, value in server.headers.items()},
        )

    def redact(self, text: str) -> str:
        """Replace the variables' values in a text by `***`, also in URL-encoded and quoted form."""
        names = VARIABLE_PATTERN.findall(msgspec.json.encode(self._server).decode())
        values = {value for name in names if len(value := self._environ.get(name, "")) >= _MIN_SECRET_LENGTH}
        forms = {form for value in values for form in (value, quote(value), quote(value, safe=""), repr(value)[1:-1])}
        for value in sorted(forms, key=len, reverse=True):
            text = text.replace(value, "***")
        return text

    def _substitute(self, text: str, *, ascii_only: bool = False) -> str:
        for name in VARIABLE_PATTERN.findall(text):
            if name not in self._environ:
                raise ToolError(f"the environment variable {name} is not set.")
            if _CONTROL.search(self._environ[name]):
                raise ToolError(
                    f"the environment variable {name} contains a line break or another control character."
                )
            if ascii_only and not self._environ[name].isascii():
                raise ToolError(f"the environment variable {name} contains characters that a header cannot have.")
        return VARIABLE_PATTERN.sub(lambda match: self._environ[match[1]], text)
