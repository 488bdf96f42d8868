"""Whether a person trusts what environment.yaml says of MCP servers: it starts programs and sends secrets."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from prompt_objects.config.environment import CONFIG_FILE
from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.errors import StoreError, UsageError
from prompt_objects.mcp.command_files import files_of_command
from prompt_objects.mcp.fingerprint import snapshot
from prompt_objects.tools.trust import Trust, digest_of
from prompt_objects.utils.text import pluralize

__all__ = [
    "Review",
    "is_trusted",
    "review",
    "trust_servers",
]


class Review(Struct, frozen=True):
    """Servers of an environment as they were at one moment: what the person reads, and what stands for it."""

    file: Path
    lines: tuple[str, ...]
    digest: str

    def is_trusted(self, trust: Trust) -> bool:
        """Say whether the person trusts just this."""
        return trust.holds(self.file, self.digest)

    def accept(self, trust: Trust) -> None:
        """Trust just this from now on, whatever has changed meanwhile. Raises `StoreError`."""
        trust.add(self.file, self.digest)


def review(folder: Path, servers: Mapping[str, ServerConfig]) -> Review:
    """Look at servers, and at all files of the environment in `folder` that they may run.

    Raises `StoreError` where one cannot be read, and `UsageError` where there are too many.
    """
    try:
        files = {name: snapshot(folder, server) for name, server in servers.items()}
        lines = tuple(_described(folder, servers, files))
    except OSError as error:
        raise StoreError(f"{error.filename} cannot be read: {error.strerror}.") from error
    # The folder belongs to it, as environment.yaml may be a link to a file that other environments share.
    said = msgspec.json.encode([str(folder.resolve()), servers, files], order="deterministic")
    file = folder / CONFIG_FILE
    return Review(file, lines, digest_of({file: said}))


def is_trusted(folder: Path, servers: Mapping[str, ServerConfig], trust: Trust | None = None) -> bool:
    """Say whether the person trusts these servers of the environment in `folder` just as they are now.

    Files of that folder which they may run are part of it. `trust` is by default that of the user.
    """
    try:
        return review(folder, servers).is_trusted(trust or Trust.of_user())
    except (StoreError, UsageError):  # what cannot be read was not read by the person either
        return False


def trust_servers(folder: Path, servers: Mapping[str, ServerConfig], trust: Trust | None = None) -> None:
    """Trust them as they are now, until something of them changes. Raises what `review` does."""
    review(folder, servers).accept(trust or Trust.of_user())


def _described(
    folder: Path, servers: Mapping[str, ServerConfig], files: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """Yield a line for each server, for each path that it names, and for how much is trusted with them."""
    for name, server in sorted(servers.items()):
        what = server.url or " ".join((server.command or "", *server.args))
        given = ", ".join(
            (*(f"{key}={value}" for key, value in server.env.items()), *map(": ".join, server.headers.items()))
        )
        hints = "; what it says of its tools is believed" if server.trust_hints else ""
        yield f"{name}: {what}{f' (is given {given})' if given else ''}{hints}"
        within = files_of_command(folder, server)
        for path in within.paths:
            yield f"  {folder / path.relative_to(folder.resolve())}{'/' if path.is_dir() else ''}"
        if within.scope == "all":
            yield f"  {folder}/, all of it, as what lies there may run"
        contents = sum(key.endswith("\0content") for key in files[name])
        if contents > len(within.paths) or any(path.is_dir() for path in within.paths):
            yield f"  {pluralize(contents, 'file')} in all, with those beside and below"
