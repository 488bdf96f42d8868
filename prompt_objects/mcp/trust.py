"""Whether a person trusts what environment.yaml says of MCP servers: it starts programs and sends secrets."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from prompt_objects.config import CONFIG_FILE
from prompt_objects.config_file import ServerConfig
from prompt_objects.errors import StoreError
from prompt_objects.trust import Trust, digest_of

__all__ = ["described", "is_trusted", "trust_servers"]


def is_trusted(folder: Path, servers: Mapping[str, ServerConfig], trust: Trust | None = None) -> bool:
    """Say whether the person trusts these servers of the environment in `folder` just as they are now.

    Files of that folder which their commands name are part of it. `trust` is by default that of the user.
    """
    try:
        digest = _digest(folder, servers)
    except OSError:  # what cannot be read was not read by the person either
        return False
    return (trust or Trust.of_user()).holds(folder / CONFIG_FILE, digest)


def trust_servers(folder: Path, servers: Mapping[str, ServerConfig], trust: Trust | None = None) -> None:
    """Trust them from now on, until something of them changes. Raises `StoreError`."""
    try:
        digest = _digest(folder, servers)
    except OSError as error:
        raise StoreError(f"{error.filename} cannot be read: {error.strerror}.") from error
    (trust or Trust.of_user()).add(folder / CONFIG_FILE, digest)


def described(folder: Path, servers: Mapping[str, ServerConfig]) -> Iterator[str]:
    """Yield, for the person who is to trust them, a line for each server and for each file that it would run."""
    for name, server in sorted(servers.items()):
        what = server.url or " ".join((server.command or "", *server.args))
        given = ", ".join((*server.env, *server.headers))
        hints = "; what it says of its tools is believed" if server.trust_hints else ""
        yield f"{name}: {what}{f' (is given {given})' if given else ''}{hints}"
        for file in _files(folder, server):
            yield f"  {file}"


def _digest(folder: Path, servers: Mapping[str, ServerConfig]) -> str:
    # The folder belongs to it, as environment.yaml may be a link to a file that other environments share.
    said = msgspec.json.encode([str(folder.resolve()), servers], order="deterministic")
    files = {file: _sum(file) for server in servers.values() for file in _files(folder, server)}
    return digest_of({folder / CONFIG_FILE: said, **files})


def _sum(file: Path) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _files(folder: Path, server: ServerConfig) -> Iterator[Path]:
    """Yield the files of the environment's folder that a command names: who changes them changes what is run."""
    for word in (server.command or "", *server.args):
        file = folder / word
        if word and "\0" not in word and file.resolve().is_relative_to(folder.resolve()) and file.is_file():
            yield file
