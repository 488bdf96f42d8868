"""The user's trust in the MCP servers of environment.yaml, which start programs and receive secrets."""

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
    """The servers of an environment at one moment: a description for the user, and its digest."""

    file: Path
    lines: tuple[str, ...]
    digest: str

    def is_trusted(self, trust: Trust) -> bool:
        """Return whether the user trusts exactly this."""
        return trust.holds(self.file, self.digest)

    def accept(self, trust: Trust) -> None:
        """Trust exactly this, even if the servers have changed since. Raises `StoreError`."""
        trust.add(self.file, self.digest)


def review(folder: Path, servers: Mapping[str, ServerConfig]) -> Review:
    """Examine servers, and all files of the environment in `folder` that they may run.

    Raises `StoreError` if a file cannot be read, and `UsageError` if there are too many.
    """
    try:
        files = {name: snapshot(folder, server) for name, server in servers.items()}
        lines = tuple(_described(folder, servers, files))
    except OSError as error:
        raise StoreError(f"{error.filename} cannot be read: {error.strerror}.") from error
    # The folder is included: environment.yaml may be a link to a file that environments share.
    content = msgspec.json.encode([str(folder.resolve()), servers, files], order="deterministic")
    file = folder / CONFIG_FILE
    return Review(file, lines, digest_of({file: content}))


def is_trusted(folder: Path, servers: Mapping[str, ServerConfig], trust: Trust | None = None) -> bool:
    """Return whether the user trusts these servers, and the files that they may run, in their present state.

    `trust` is the user's own by default.
    """
    try:
        return review(folder, servers).is_trusted(trust or Trust.of_user())
    except (StoreError, UsageError):  # the user cannot have read it either
        return False


def trust_servers(folder: Path, servers: Mapping[str, ServerConfig], trust: Trust | None = None) -> None:
    """Trust the servers in their present state. Raises what `review` raises."""
    review(folder, servers).accept(trust or Trust.of_user())


def _described(
    folder: Path, servers: Mapping[str, ServerConfig], files: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """Yield a line for each server, for each path that it names, and for the number of trusted files."""
    for name, server in sorted(servers.items()):
        target = server.url or " ".join((server.command or "", *server.args))
        given = ", ".join(
            (*(f"{key}={value}" for key, value in server.env.items()), *map(": ".join, server.headers.items()))
        )
        hints = "; its hints about its tools are trusted" if server.trust_hints else ""
        yield f"{name}: {target}{f' (receives {given})' if given else ''}{hints}"
        files_named = files_of_command(folder, server)
        for path in files_named.paths:
            yield f"  {folder / path.relative_to(folder.resolve())}{'/' if path.is_dir() else ''}"
        if files_named.scope == "all":
            yield f"  {folder}/, all of it, because any file in it may run"
        contents = sum(key.endswith("\0content") for key in files[name])
        if contents > len(files_named.paths) or any(path.is_dir() for path in files_named.paths):
            yield f"  {pluralize(contents, 'file')} in total, including those in the same folders"
