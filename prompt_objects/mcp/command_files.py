"""Finds the files of an environment that the command of an MCP server names."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from prompt_objects.config.environment_schema import VARIABLE_PATTERN, ServerConfig

_FOLDER = re.compile(VARIABLE_PATTERN.pattern + "(?=/)")
_SEPARATORS = re.compile(r"""[\s=:;,|&<>()'"]+""")
_OPTION = re.compile(r"-[A-Za-z]|@")  # prefixes of a path, as in -r./x.js and -Cfolder
_ENDINGS = ("", ".py", ".js", ".mjs", ".cjs", ".ts", ".tsx", ".json")  # which interpreters add to a name
_MODULE = re.compile(r"-[bBdEiIOPqsSuvx]*m(.*)")


def program_paths(folder: Path, servers: Mapping[str, ServerConfig]) -> tuple[Path, ...]:
    """Return the files and folders of the environment that the commands of servers name, possibly too many.

    Of a file in a subfolder the whole subfolder is returned, since it may import its neighbors. The user trusts the
    contents of these paths, and tools may not write them.
    """
    root = folder.resolve()
    named = {path for server in servers.values() for path in _named_paths(root, server)}
    return tuple(sorted({_with_neighbors(root, path) for path in named}))


def _with_neighbors(root: Path, path: Path) -> Path:
    is_hidden = any(part.startswith(".") for part in path.relative_to(root).parts)  # then no tool can write it
    return path if path.is_dir() or path.parent == root or is_hidden else path.parent


def _named_paths(root: Path, server: ServerConfig) -> set[Path]:
    """Return the existing paths below the folder that a command names. A variable before a `/` means the folder."""
    values = (server.command or "", *server.args, *server.env.values())
    expanded = [VARIABLE_PATTERN.sub(" ", _FOLDER.sub(".", text)) for text in values]
    words = [word for text in expanded for word in _SEPARATORS.split(text)]
    candidates = (
        *expanded,
        *(text.partition("=")[2] for text in expanded),
        *words,
        *(_OPTION.sub("", word) for word in words),
    )
    named = dict.fromkeys((*candidates, *_modules(words)))
    return {path for text in named if text for end in _ENDINGS if (path := _inside(root, f"{text}{end}"))} - {root}


def _modules(words: list[str]) -> Iterator[str]:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if match := _MODULE.fullmatch(word):
            yield (match[1] or following).replace(".", "/")


def _inside(root: Path, text: str) -> Path | None:
    """Return the existing path below the folder that a text refers to, if any."""
    if not text or "\0" in text:
        return None
    path = Path(os.path.normpath(root / text))
    if not os.path.lexists(path):
        return None
    real = Path(os.path.realpath(path))
    return path if path.is_relative_to(root) else real if real.is_relative_to(root) else None
