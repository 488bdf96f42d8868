"""What of an environment's folder the command of an MCP server names, and may therefore run."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import Struct

from prompt_objects.config_file import VARIABLE, ServerConfig
from prompt_objects.mcp.launchers import runs_the_folder

__all__ = ["STEERING", "Named", "guarded", "is_hidden", "named"]

_STARTS = ("__main__.py", "package.json", "index.js", "index.mjs", "index.cjs")  # what runs where a folder is run
STEERING = (*_STARTS, "pyproject.toml", "uv.toml")
"""Files at the top of the folder that decide what programs run there, whether or not they are named."""

Scope: TypeAlias = Literal["nothing", "code", "all"]

_FOLDER = re.compile(VARIABLE.pattern + "(?=/)")
_BETWEEN = re.compile(r"""[\s=:;,|&<>()'"]+""")
_OPTION = re.compile(r"-[A-Za-z](?=[^A-Za-z])|@")  # what a path may directly follow, as in -r./x.js
_MODULE = re.compile(r"-[bBdEiIOPqsSuvx]*m(.*)")
_LOOKS_HERE = re.compile(r"-[bBdEiIOPqsSuvx]*[mc]")
_PYTHON = re.compile(r"python|pypy|uv$|py$")


class Named(Struct, frozen=True):
    """Files and folders below the environment's folder, and what else of that folder itself may run.

    That is code where a program lies directly in it, or looks for modules there, and all of it where a program looks
    there for what to do. `steering` are files that count although nobody names them.
    """

    paths: tuple[Path, ...]
    steering: tuple[Path, ...]
    scope: Scope


def named(folder: Path, server: ServerConfig) -> Named:
    """Look for whatever the command, its arguments and its variables may mean; too much rather than too little.

    A variable of the process environment at the beginning of a path is taken for the folder.
    """
    root = folder.resolve()
    said = (server.command or "", *server.args, *server.env.values())
    texts = [VARIABLE.sub(" ", _FOLDER.sub(".", text)) for text in said]
    words = [word for text in texts for word in _BETWEEN.split(text)]
    spelled = (
        *texts,
        *(text.partition("=")[2] for text in texts),
        *words,
        *(_OPTION.sub("", word) for word in words),
    )
    meant = {path for text in (*spelled, *_modules(words)) if (path := _inside(root, text))}
    started = root in meant and any(os.path.lexists(root / name) for name in _STARTS)
    imports = any(map(_LOOKS_HERE.match, words)) and any(_PYTHON.match(Path(word).name) for word in words)
    on_top = any(path.parent == root and not path.is_dir() and not is_hidden(path, root) for path in meant)
    steering = tuple(root / name for name in STEERING if server.command and os.path.lexists(root / name))
    is_all = runs_the_folder(root, (server.command or "", *server.args))
    scope: Scope = "all" if is_all else "code" if started or imports or on_top else "nothing"
    return Named(tuple(sorted(meant - {root})), steering, scope)


def guarded(folder: Path, servers: Mapping[str, ServerConfig]) -> tuple[Path, ...]:
    """Return the files and folders that nobody but the person may write: what servers run, and what is beside it."""
    root = folder.resolve()
    found = [named(folder, server) for server in servers.values()]
    if any(what.scope == "all" for what in found):
        return (root,)
    paths = (path for what in found for path in what.paths)
    return tuple(path if path.is_dir() or path.parent == root else path.parent for path in paths)


def is_hidden(path: Path, root: Path) -> bool:
    """Say whether a path below `root` is one that no tool can write."""
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _modules(words: list[str]) -> Iterator[str]:
    """Yield the paths of modules that `-m` names."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if found := _MODULE.fullmatch(word):
            path = (found[1] or following).replace(".", "/")
            yield from (path, f"{path}.py")


def _inside(root: Path, text: str) -> Path | None:
    """Return the path that a text means in the folder, if it does and something is there."""
    if not text or "\0" in text:
        return None
    path = Path(os.path.normpath(root / text))
    if not os.path.lexists(path):
        return None
    real = Path(os.path.realpath(path))
    return path if path.is_relative_to(root) else real if real.is_relative_to(root) else None
