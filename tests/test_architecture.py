"""The rules of the package: allowed imports, public names, the cost of an import."""

import ast
import json
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import prompt_objects

PACKAGE = Path(prompt_objects.__file__).parent

# From top to bottom; a module imports only from its own package or from layers below. decision 9 says why.
LAYERS = [
    {"__main__"},
    {"cli"},
    {"ui"},
    {"chat"},
    {"environment"},
    {"turns", "migrations"},
    {"mcp"},
    {"tools", "trace", "testing"},
    {"runtime"},
    {"sessions"},
    {"analysis", "llm"},
    {"config"},
    {"message"},
    {"utils"},
    {"errors", "_version"},
]
HEIGHT = {name: -depth for depth, layer in enumerate(LAYERS) for name in layer}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def home(path: Path) -> str:
    """The layer's name of a file: its folder at the top of the package, or its own stem there."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Return all modules of the package that a file imports, at any place."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = (
                [node.module]
                if node.module != "prompt_objects"
                else [f"prompt_objects.{alias.name}" for alias in node.names if not alias.name.startswith("__")]
            )
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("prompt_objects.")}
    return found


def test_every_module_has_its_place_in_the_layers() -> None:
    assert {home(path) for path in modules()} == set(HEIGHT)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downward_only(path: Path) -> None:
    own = home(path)
    upward = {name for name in imported(path) if name != own and HEIGHT[name] >= HEIGHT[own]}
    assert not upward, f"{own} imports from its own height or above: {upward}"


def dotted(path: Path) -> str:
    return ".".join(("prompt_objects", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def imported_when_loaded(path: Path, known: set[str]) -> set[str]:
    """The modules of the package that a module imports when it is loaded itself."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & known - {dotted(path)}


def test_no_file_is_longer_than_400_lines() -> None:
    files = [*modules(), *Path(__file__).parent.rglob("*.py")]
    assert not [path for path in files if len(path.read_text(encoding="utf-8").splitlines()) > 400]


def test_no_modules_import_each_other_in_a_circle() -> None:
    files = {dotted(path): path for path in modules()}
    graph = {name: imported_when_loaded(path, set(files)) for name, path in files.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_terminal_libraries_are_imported_by_ui_only(path: Path) -> None:
    roots = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    if home(path) != "ui":
        assert not roots & {"prompt_toolkit", "rich"}


def test_all_is_exactly_what_is_public() -> None:
    names = [name for name in prompt_objects.__all__ if name != "__version__"]
    for name in names:
        assert getattr(prompt_objects, name).__name__ == name or name == "Message"
    assert dir(prompt_objects) == prompt_objects.__all__ == sorted(prompt_objects.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Enviroment'"):
        _ = prompt_objects.Enviroment


def test_only_the_package_itself_lists_its_public_names() -> None:
    """In all other modules a leading underscore marks private names."""
    assert [path.name for path in modules() if "\n__all__ = " in path.read_text(encoding="utf-8")] == []


def python(code: str, cwd: Path) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=True, timeout=60
    )
    return result.stdout


def test_importing_the_package_loads_only_its_version(tmp_path: Path) -> None:
    code = "import sys, prompt_objects; print(*(name for name in sys.modules if name.startswith('prompt_objects.')))"
    assert python(code, tmp_path).split() == ["prompt_objects._version"]


def test_importing_any_module_writes_nothing_and_starts_nothing(tmp_path: Path) -> None:
    names = [dotted(path) for path in modules() if path.stem != "__main__"]
    code = (
        "import importlib, threading, json, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(json.dumps([threading.active_count(), sys.stdout is sys.__stdout__]))"
    )
    assert json.loads(python(code, tmp_path)) == [1, True]
    assert list(tmp_path.iterdir()) == []
