"""Tools from elsewhere: an environment's own `tools/*.py`, and those that installed packages offer."""

import hashlib
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from msgspec import Struct

from prompt_objects.tools.base import Tool

__all__ = [
    "GROUP",
    "LoadResult",
    "entry_point_tools",
    "load_tools",
    "read_tool_files",
    "without_clashes",
]

GROUP = "prompt_objects.tools"
"""The group of entry points by which a package offers tools: each names a `Tool`, or several in a list or tuple."""


class LoadResult(Struct, frozen=True):
    """Tools by name, and a sentence for each that could not be had."""

    tools: Mapping[str, Tool]
    notices: tuple[str, ...] = ()


def without_clashes(tools: Iterable[Tool], taken: Collection[str], which: str) -> LoadResult:
    """Return those whose names are not `taken`, the first of each; notices call one that is left out `which`."""
    chosen: dict[str, Tool] = {}
    notices: list[str] = []
    for tool in tools:
        if tool.name in taken or tool.name in chosen:
            notices.append(f"There is a tool called {tool.name!r} already; {which} is left out.")
        else:
            chosen[tool.name] = tool
    return LoadResult(chosen, tuple(notices))


def read_tool_files(folder: Path) -> tuple[dict[Path, bytes], tuple[str, ...]]:
    """Return an environment's tool files, in order, with what they hold, and a sentence for each unreadable one.

    Nothing of it is run. Files that begin with `_` or `.` are passed over.
    """
    files: dict[Path, bytes] = {}
    notices: list[str] = []
    for file in sorted((folder / "tools").glob("*.py")):
        if file.name.startswith(("_", ".")) or not file.is_file():
            continue
        try:
            files[file] = file.read_bytes()
        except OSError as error:
            notices.append(f"{file} cannot be read: {error.strerror}.")
    return files, tuple(notices)


def load_tools(files: Mapping[Path, bytes], taken: Collection[str] = ()) -> LoadResult:
    """Run Python files and return the tools that they make; names in `taken` are not to be had.

    This is code that does whatever it likes: give it only what a person trusts. What is run is what is given here,
    whatever became of the file since it was read.
    """
    return _collected(((str(file), _loading(file, source)) for file, source in files.items()), taken)


def entry_point_tools(taken: Collection[str] = ()) -> LoadResult:
    """Return the tools of installed packages; names in `taken` are not to be had."""
    offered = sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value))
    return _collected(((_origin(entry), _loading_entry(entry)) for entry in offered), taken)


def _collected(sources: Iterable[tuple[str, Callable[[], list[Tool]]]], taken: Collection[str]) -> LoadResult:
    tools: dict[str, Tool] = {}
    notices: list[str] = []
    for origin, load in sources:
        try:
            loaded = load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it does wrong, the others are to work
            notices.append(f"{_place(origin, error)}: {_problem(error)}")
            continue
        if not loaded:
            notices.append(f"{origin}: There is no tool in it. Write @tool above a function.")
        found = without_clashes(loaded, {*taken, *tools}, "this one")
        tools.update(found.tools)
        notices += [f"{origin}: {told}" for told in found.notices]
    return LoadResult(tools, tuple(notices))


def _loading(file: Path, source: bytes) -> Callable[[], list[Tool]]:
    def load() -> list[Tool]:
        # Compiled here, not imported: a bytecode file beside it might hold something else.
        code = compile(source, str(file), "exec", dont_inherit=True)
        module = ModuleType(f"{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}")
        module.__file__ = str(file)
        sys.modules[module.__name__] = module  # where types that are written as text are looked up
        exec(code, module.__dict__)  # noqa: S102 - it is what was asked for
        return [value for value in vars(module).values() if isinstance(value, Tool)]

    return load


def _loading_entry(entry: EntryPoint) -> Callable[[], list[Tool]]:
    def load() -> list[Tool]:
        value = entry.load()
        tools = list(value) if isinstance(value, list | tuple) else [value]
        if faulty := [type(each).__name__ for each in tools if not isinstance(each, Tool)]:
            raise TypeError(f"{entry.value} is to be a tool, not {faulty[0]}")
        return tools

    return load


def _origin(entry: EntryPoint) -> str:
    package = f" of the package {entry.dist.name}" if entry.dist else ""
    return f"The tool {entry.name!r}{package}"


def _place(origin: str, error: BaseException) -> str:
    """Say where in a file something went wrong, where it is the file's own doing."""
    if isinstance(error, SyntaxError) and error.filename == origin:
        return f"{origin}:{error.lineno or 1}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == origin]
    return f"{origin}:{frames[-1].lineno}" if frames else origin


def _problem(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "It ended the program, which a tool's file must not."
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
