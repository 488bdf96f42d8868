"""Variables of the process environment in what environment.yaml says of a server: put in place, and hidden again."""

import re
from collections.abc import Mapping
from urllib.parse import quote

from msgspec.structs import replace

from prompt_objects.config.environment_schema import VARIABLE, ServerConfig
from prompt_objects.errors import ToolError

__all__ = [
    "Variables",
]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SHORTEST_SECRET = 4


class Variables:
    """What is put in the place of `${NAME}` in what is said of a server."""

    def __init__(self, server: ServerConfig, environ: Mapping[str, str]) -> None:
        self._server = server
        self._environ = environ

    def config(self) -> ServerConfig:
        """Return what is said of the server, filled in.

        Raises `ToolError`, with the name of the variable, for one that is not set, or whose value nothing can carry.
        """
        server = self._server
        return replace(
            server,
            command=server.command and self._fill(server.command),
            args=tuple(self._fill(argument) for argument in server.args),
            env={name: self._fill(value) for name, value in server.env.items()},
            url=server.url and self._fill(server.url),
            headers={name: self._fill(value, ascii_only=True) for name, value in server.headers.items()},
        )

    def redact(self, text: str) -> str:
        """Return a text without the values that were filled in, as they are and as a URL or a message spells them."""
        values = {value for name in self._names() if len(value := self._environ.get(name, "")) >= _SHORTEST_SECRET}
        spelled = {way for value in values for way in (value, quote(value), quote(value, safe=""), repr(value)[1:-1])}
        for value in sorted(spelled, key=len, reverse=True):
            text = text.replace(value, "***")
        return text

    def _names(self) -> set[str]:
        server = self._server
        texts = (server.command, *server.args, *server.env.values(), server.url, *server.headers.values())
        return {name for text in texts for name in VARIABLE.findall(text or "")}

    def _fill(self, text: str, *, ascii_only: bool = False) -> str:
        for name in VARIABLE.findall(text):
            if name not in self._environ:
                raise ToolError(f"the environment variable {name} is not set.")
            if _CONTROL.search(self._environ[name]):
                raise ToolError(f"the environment variable {name} holds a line break, or another control character.")
            if ascii_only and not self._environ[name].isascii():
                raise ToolError(f"the environment variable {name} holds characters that no header can have.")
        return VARIABLE.sub(lambda found: self._environ[found[1]], text)
