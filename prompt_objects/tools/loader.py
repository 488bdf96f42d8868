"""Loads the tools of an environment: built in, from `tools/*.py`, of installed packages, and a program's own."""

import hashlib
import pkgutil
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from msgspec import Struct

from prompt_objects.config.manifest import read_manifest
from prompt_objects.tools import builtin
from prompt_objects.tools.base import Tool
from prompt_objects.utils.resources import raise_if_exhausted

GROUP = "prompt_objects.tools"
"""The entry point group for tools: each entry point names a `Tool`, or a list or tuple of tools."""


class LoadedTools(Struct, frozen=True):
    """Tools by name, and a sentence for each tool or file that was left out."""

    tools: Mapping[str, Tool]
    notices: tuple[str, ...] = ()


def builtin_tools() -> dict[str, Tool]:
    """Import the modules of `tools/builtin/` and return their tools; names that begin with `_` are skipped."""
    modules = sorted(module.name for module in pkgutil.iter_modules(builtin.__path__))
    loaded = (import_module(f"{builtin.__name__}.{name}") for name in modules if not name.startswith("_"))
    return {tool.name: tool for module in loaded for tool in _tools_in(module)}


def _ruby_tools(folder: Path) -> dict[str, Tool]:
    """Return the tools that an environment of the Ruby implementation expects; any other tool replaces them."""
    if read_manifest(folder) is None:
        return {}
    from prompt_objects.tools.ruby import RUBY_TOOLS

    return {tool.name: tool for tool in RUBY_TOOLS}


def without_duplicates(tools: Iterable[Tool], taken: Collection[str], description: str) -> LoadedTools:
    """Return the tools whose names are not `taken`, the first of each name; notices call the others `description`."""
    chosen: dict[str, Tool] = {}
    notices: list[str] = []
    for tool in tools:
        if tool.name in taken or tool.name in chosen:
            notices.append(f"There is already a tool called {tool.name!r}; {description} is left out.")
        else:
            chosen[tool.name] = tool
    return LoadedTools(chosen, tuple(notices))


def read_tool_files(folder: Path) -> tuple[dict[Path, bytes], tuple[str, ...]]:
    """Return the contents of an environment's tool files, and a sentence for each unreadable one; runs nothing."""
    files: dict[Path, bytes] = {}
    notices: list[str] = []
    for file in sorted((folder / "tools").glob("*.py")):
        if file.name.startswith(("_", ".")) or not file.is_file():
            continue
        try:
            files[file] = file.read_bytes()
        except OSError as error:
            raise_if_exhausted(error)
            notices.append(f"{file} cannot be read: {error.strerror}.")
    return files, tuple(notices)


def load_tool_files(files: Mapping[Path, bytes], taken: Collection[str] = ()) -> LoadedTools:
    """Run trusted Python code, the given contents of files, and return its tools whose names are not `taken`."""
    return _collect(((str(file), partial(_run_file, file, source)) for file, source in files.items()), taken)


def entry_point_tools(taken: Collection[str] = ()) -> LoadedTools:
    """Return the tools of installed packages, except those whose names are `taken`."""
    entries = sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value))
    return _collect(((_describe_entry(entry), partial(_load_entry, entry)) for entry in entries), taken)


def _collect(sources: Iterable[tuple[str, Callable[[], list[Tool]]]], taken: Collection[str]) -> LoadedTools:
    tools: dict[str, Tool] = {}
    notices: list[str] = []
    for origin, load in sources:
        try:
            loaded = load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a faulty source must not affect the others
            raise_if_exhausted(error)
            notices.append(f"{_position(origin, error)}: {_describe_error(error)}")
            continue
        if not loaded:
            notices.append(f"{origin}: There is no tool in it. Write @tool above a function.")
        result = without_duplicates(loaded, {*taken, *tools}, "this one")
        tools.update(result.tools)
        notices += [f"{origin}: {text}" for text in result.notices]
    return LoadedTools(tools, tuple(notices))


def _run_file(file: Path, source: bytes) -> list[Tool]:
    # Compiled here instead of imported: a bytecode file in the folder might hold other code.
    code = compile(source, str(file), "exec", dont_inherit=True)
    module = ModuleType(f"{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # types written as strings are resolved there
    exec(code, module.__dict__)  # noqa: S102 - the user trusts it
    return _tools_in(module)


def _tools_in(module: ModuleType) -> list[Tool]:
    return [value for value in vars(module).values() if isinstance(value, Tool)]


def _load_entry(entry: EntryPoint) -> list[Tool]:
    value = entry.load()
    tools = list(value) if isinstance(value, list | tuple) else [value]
    if wrong_types := [type(each).__name__ for each in tools if not isinstance(each, Tool)]:
        raise TypeError(f"{entry.value} must be a tool, not {wrong_types[0]}")
    return tools


def _describe_entry(entry: EntryPoint) -> str:
    package = f" of the package {entry.dist.name}" if entry.dist else ""
    return f"The tool {entry.name!r}{package}"


def _position(origin: str, error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename == origin:
        return f"{origin}:{error.lineno or 1}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == origin]
    return f"{origin}:{frames[-1].lineno}" if frames else origin


def _describe_error(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "It ended the program, which a tool file must not do."
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def load_tools(
    folder: Path, *, given: Iterable[Tool] = (), is_trusted: Callable[[Mapping[Path, bytes]], bool]
) -> LoadedTools:
    """Collect the tools of an environment: built in, `given`, then those of `tools/*.py` and of packages.

    `is_trusted` says whether the user trusts these files with these contents.
    """
    builtin = builtin_tools()
    own = without_duplicates(given, builtin, "that of the program")
    files, notices = read_tool_files(folder)
    if files and not is_trusted(files):
        names = ", ".join(f"tools/{file.name}" for file in files)
        notice = f"Not loaded, because you have not trusted the current content: {names}."
        files, notices = {}, (*notices, f"{notice} Read it, then run: prompt-objects trust")
    local = load_tool_files(files, {**builtin, **own.tools})
    installed = entry_point_tools({**builtin, **own.tools, **local.tools})
    return LoadedTools(
        {**_ruby_tools(folder), **builtin, **own.tools, **local.tools, **installed.tools},
        (*own.notices, *notices, *local.notices, *installed.notices),
    )
