"""Finds the files of an environment that the command of an MCP server may run."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import Struct

from prompt_objects.config.environment_schema import VARIABLE_PATTERN, ServerConfig

_LAUNCHER = re.compile(
    r"g?make|cmake|ninja|meson|just|task|rake|invoke|fab|scons|bazel(isk)?|buck2|"
    r"uv|poetry|pdm|hatch|pixi|rye|pipenv|tox|nox|p?npm|yarn|bun|deno|turbo|nx|gulp|grunt|"
    r"cargo|go|swift|zig|dotnet|mvnw?|gradlew?|ant|sbt|lein|clojure|mix|rebar3|cabal|dune|"
    r"bundle|composer|vagrant|nix(-shell)?|devenv|devbox|mise|(docker|podman)-compose"
)
_CONTAINER = re.compile("docker|podman|nerdctl")
_SHELL = re.compile("(ba|da|a|mk|k|z|fi|tc|c|pw)?sh|busybox|powershell|cmd|env")  # `env -S` takes a line, too
_PLAIN = re.compile(r"[\w./=:@%+, -]*")  # no characters that a shell interprets
_ENDING = re.compile(r"\.(exe|cmd|bat)$", re.IGNORECASE)
_MOUNT = re.compile(r"-v|--volume|--mount")
_OTHER_FOLDER_OPTION = re.compile(r"^(?:-C|--directory|--prefix|--dir|--cwd)[\n=](/.*)$", re.MULTILINE)


def may_run_folder(root: Path, arguments: Iterable[str]) -> bool:
    """Return whether a command may run any file of the folder; True if this is not certain.

    Programs such as make read instructions from the folder, shells run any line, and containers may mount it.
    """
    words = list(arguments)
    if any(_SHELL.fullmatch(_program(word)) for word in words):
        if not all(map(_PLAIN.fullmatch, words)):
            return True
        words = [word for line in words for word in line.split()]
    programs = [_program(word) for word in words]
    if any(map(_LAUNCHER.fullmatch, programs)):
        return not _use_another_folder(root, words)
    return any(
        _CONTAINER.fullmatch(program) and (words[at : at + 1] != ["run"] or any(map(_MOUNT.match, words[at:])))
        for at, program in enumerate(programs, start=1)
    )


def _program(word: str) -> str:
    """Return the name of the program that a word refers to; empty for a relative path, which is in the folder."""
    path = Path(word)
    return _ENDING.sub("", path.name) if path.is_absolute() or path.name == word else ""


def _use_another_folder(root: Path, words: Iterable[str]) -> bool:
    folders = [Path(os.path.realpath(folder)) for folder in _OTHER_FOLDER_OPTION.findall("\n".join(words))]
    return bool(folders) and not any(root.is_relative_to(folder) or folder.is_relative_to(root) for folder in folders)


_ENTRY_FILES = ("__main__.py", "package.json", "index.js", "index.mjs", "index.cjs")  # run if a folder is run
PROJECT_FILES = (*_ENTRY_FILES, "pyproject.toml", "uv.toml")
"""Files in the folder that decide what programs run, even if no argument names them."""
Scope: TypeAlias = Literal["nothing", "code", "all"]
_FOLDER = re.compile(VARIABLE_PATTERN.pattern + "(?=/)")
_SEPARATORS = re.compile(r"""[\s=:;,|&<>()'"]+""")
_OPTION = re.compile(r"-[A-Za-z](?=[^A-Za-z])|@")  # prefixes of a path, as in -r./x.js
_MODULE = re.compile(r"-[bBdEiIOPqsSuvx]*m(.*)")
_IMPORTS_HERE = re.compile(r"-[bBdEiIOPqsSuvx]*[mc]")
_PYTHON = re.compile(r"python|pypy|uv$|py$")


class CommandFiles(Struct, frozen=True):
    """Paths below the environment's folder that a command names; `scope` is what else in the folder it may run."""

    paths: tuple[Path, ...]
    project_files: tuple[Path, ...]
    scope: Scope


def files_of_command(folder: Path, server: ServerConfig) -> CommandFiles:
    """Return the files that a command may refer to, possibly too many.

    A variable before a `/` is taken for the folder.
    """
    root = folder.resolve()
    values = (server.command or "", *server.args, *server.env.values())
    texts = [VARIABLE_PATTERN.sub(" ", _FOLDER.sub(".", text)) for text in values]
    words = [word for text in texts for word in _SEPARATORS.split(text)]
    candidates = (
        *texts,
        *(text.partition("=")[2] for text in texts),
        *words,
        *(_OPTION.sub("", word) for word in words),
    )
    named = {path for text in (*candidates, *_modules(words)) if (path := _inside(root, text))}
    runs_folder = root in named and any(os.path.lexists(root / name) for name in _ENTRY_FILES)
    imports = any(map(_IMPORTS_HERE.match, words)) and any(_PYTHON.match(Path(word).name) for word in words)
    names_file = any(path.parent == root and not path.is_dir() and not is_hidden(path, root) for path in named)
    project_files = tuple(root / name for name in PROJECT_FILES if server.command and os.path.lexists(root / name))
    is_all = may_run_folder(root, (server.command or "", *server.args))
    scope: Scope = "all" if is_all else "code" if runs_folder or imports or names_file else "nothing"
    return CommandFiles(tuple(sorted(named - {root})), project_files, scope)


def read_only_paths(folder: Path, servers: Mapping[str, ServerConfig]) -> tuple[Path, ...]:
    """Return the files and folders that tools may not write: programs of servers, and the folders they are in."""
    root = folder.resolve()
    commands = [files_of_command(folder, server) for server in servers.values()]
    if any(command.scope == "all" for command in commands):
        return (root,)
    paths = (path for command in commands for path in command.paths)
    return tuple(path if path.is_dir() or path.parent == root else path.parent for path in paths)


def is_hidden(path: Path, root: Path) -> bool:
    """Return whether a path below `root` is hidden; no tool can write such a path."""
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _modules(words: list[str]) -> Iterator[str]:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if match := _MODULE.fullmatch(word):
            path = (match[1] or following).replace(".", "/")
            yield from (path, f"{path}.py")


def _inside(root: Path, text: str) -> Path | None:
    """Return the existing path below the folder that a text refers to, if any."""
    if not text or "\0" in text:
        return None
    path = Path(os.path.normpath(root / text))
    if not os.path.lexists(path):
        return None
    real = Path(os.path.realpath(path))
    return path if path.is_relative_to(root) else real if real.is_relative_to(root) else None
