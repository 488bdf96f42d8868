"""Commands of MCP servers that run what lies in the folder where they are started, without naming it."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

__all__ = ["runs_the_folder"]

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


def runs_the_folder(root: Path, arguments: Iterable[str]) -> bool:
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
