"""Which files of an environment the command of an MCP server may run."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import Struct

from prompt_objects.config.environment_schema import VARIABLE, ServerConfig

__all__ = [
    "STEERING",
    "CommandFiles",
    "files_of_command",
    "guarded",
    "is_hidden",
    "may_run_folder",
]

_LAUNCHER = re.compile(
    r"g?make|cmake|ninja|meson|just|task|rake|invoke|fab|scons|bazel(isk)?|buck2|"
    r"uv|poetry|pdm|hatch|pixi|rye|pipenv|tox|nox|p?npm|yarn|bun|deno|turbo|nx|gulp|grunt|"
    r"cargo|go|swift|zig|dotnet|mvnw?|gradlew?|ant|sbt|lein|clojure|mix|rebar3|cabal|dune|"
    r"bundle|composer|vagrant|nix(-shell)?|devenv|devbox|mise|(docker|podman)-compose"
)
_CONTAINER = re.compile("docker|podman|nerdctl")
_SHELL = re.compile("(ba|da|a|mk|k|z|fi|tc|c|pw)?sh|busybox|powershell|cmd|env")  # `env -S` takes a line, too
_PLAIN = re.compile(r"[\w./=:@%+, -]*")  # nothing that a shell would make something else of
_ENDING = re.compile(r"\.(exe|cmd|bat)$", re.IGNORECASE)
_MOUNT = re.compile(r"-v|--volume|--mount")
_ELSEWHERE = re.compile(r"^(?:-C|--directory|--prefix|--dir|--cwd)[\n=](/.*)$", re.MULTILINE)


def may_run_folder(root: Path, arguments: Iterable[str]) -> bool:
    """Say whether a command, with its arguments, may run anything of the folder; rather once too often.

    So may programs that look there for what to do, like make and npm, wherever their names stand, unless they are
    sent elsewhere; shells with a line of more than plain words; and containers, unless they only `run` an image and
    no folder is put into them.
    """
    words = list(arguments)
    if any(_SHELL.fullmatch(_program(word)) for word in words):
        if not all(map(_PLAIN.fullmatch, words)):
            return True
        words = [word for line in words for word in line.split()]
    programs = [_program(word) for word in words]
    if any(map(_LAUNCHER.fullmatch, programs)):
        return not _are_sent_elsewhere(root, words)
    return any(
        _CONTAINER.fullmatch(program) and (words[at : at + 1] != ["run"] or any(map(_MOUNT.match, words[at:])))
        for at, program in enumerate(programs, start=1)
    )


def _program(word: str) -> str:
    """Return the name of the program that a word means, if it is one from outside of the folder."""
    path = Path(word)
    return _ENDING.sub("", path.name) if path.is_absolute() or path.name == word else ""


def _are_sent_elsewhere(root: Path, words: Iterable[str]) -> bool:
    folders = [Path(os.path.realpath(folder)) for folder in _ELSEWHERE.findall("\n".join(words))]
    return bool(folders) and not any(root.is_relative_to(folder) or folder.is_relative_to(root) for folder in folders)


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


class CommandFiles(Struct, frozen=True):
    """Files and folders below the environment's folder, and what else of that folder itself may run.

    That is code where a program lies directly in it, or looks for modules there, and all of it where a program looks
    there for what to do. `steering` are files that count although nobody names them.
    """

    paths: tuple[Path, ...]
    steering: tuple[Path, ...]
    scope: Scope


def files_of_command(folder: Path, server: ServerConfig) -> CommandFiles:
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
    is_all = may_run_folder(root, (server.command or "", *server.args))
    scope: Scope = "all" if is_all else "code" if started or imports or on_top else "nothing"
    return CommandFiles(tuple(sorted(meant - {root})), steering, scope)


def guarded(folder: Path, servers: Mapping[str, ServerConfig]) -> tuple[Path, ...]:
    """Return the files and folders that nobody but the person may write: what servers run, and what is beside it."""
    root = folder.resolve()
    found = [files_of_command(folder, server) for server in servers.values()]
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
