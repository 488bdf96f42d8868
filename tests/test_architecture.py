"""What holds the house together: who may import whom, what is public, and what an import may cost."""

import ast
import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

import prompt_objects

PACKAGE = Path(prompt_objects.__file__).parent

# From top to bottom; a module imports only from its own layer's package or from layers below.
LAYERS = [
    {"__main__"},
    {"cli"},
    {"ui"},
    {"commands"},
    {"chat"},
    {"environment"},
    {"capabilities", "catalogue", "locate", "migrations", "models", "prompt_object", "starter", "storage"},
    {"turn"},
    {"calls", "exchange"},
    {"minutes"},
    {"testing", "purchase", "approval", "toolbox", "mcp", "trace"},
    {"llm", "tools"},
    {"news"},
    {"context", "occupancy"},
    {"surroundings"},
    {"trust", "running", "person", "prefix"},
    {"sessions", "bus", "graph"},
    {"definition", "config"},
    {"config_file", "budget"},
    {"effect", "limits", "typed_yaml", "upkeep", "yaml_edit"},
    {"yaml_document"},
    {"patience", "waiting", "wording"},
    {"message", "spelling"},
    {"errors"},
    {"holder"},
]
HEIGHT = {name: -depth for depth, layer in enumerate(LAYERS) for name in layer}

# The same within sessions/, the package that has storeys of its own.
SESSION_LAYERS = [
    {"prune"},
    {"manager", "export", "backups"},
    {"formats"},
    {"unread"},
    {"session", "last_used", "transfer", "undo"},
    {"copies", "belongings", "journal", "workspace"},
    {"stores"},
    {"names", "usage", "disk", "family", "keys"},
    {"record"},
]
SESSION_HEIGHT = {name: -depth for depth, layer in enumerate(SESSION_LAYERS) for name in layer}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def home(path: Path) -> str:
    """The layer's name of a file: its folder at the top of the package, or its own stem there."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """All modules of the package that a file names in imports, wherever in the file they stand."""
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


SESSION_MODULES = [path for path in modules() if home(path) == "sessions" and path.name != "__init__.py"]


@pytest.mark.parametrize("path", SESSION_MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downward_within_sessions(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[1].removesuffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    inner = {name.split(".")[2] for name in named if name.startswith("prompt_objects.sessions.")}
    inner |= {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "prompt_objects.sessions"
        for alias in node.names
    }
    assert not {name for name in inner if name != own and SESSION_HEIGHT[name] >= SESSION_HEIGHT[own]}


def rows(heading: str) -> list[list[str]]:
    """The modules and folders that each row of the table under a heading of docs/architecture.md is about."""
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    return [[name.removesuffix(".py") for name in re.findall(r"`(\w+(?:\.py|(?=/)))/?`", cell)] for cell in cells]


@pytest.mark.parametrize(
    ("heading", "height"), [("The layers", HEIGHT), ("Sessions", SESSION_HEIGHT)], ids=["package", "sessions"]
)
def test_the_architecture_page_has_everything_once_and_in_the_order_of_the_layers(
    heading: str, height: dict[str, int]
) -> None:
    table = rows(heading)
    assert sorted(name for row in table for name in row) == sorted(set(height) - {"__main__"})
    for above, below in pairwise(table):
        assert min(height[name] for name in above) >= max(height[name] for name in below), (above, below)


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


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_names_in_all_exist_and_are_not_private(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            exported = ast.literal_eval(node.value)
            defined = {name for each in tree.body for name in names_bound_by(each)}
            assert set(exported) <= defined
            assert not [name for name in exported if name.startswith("_")]


def names_bound_by(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    if isinstance(node, ast.Assign):
        return {name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    if isinstance(node, ast.If):
        return {name for each in node.body for name in names_bound_by(each)}
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return {node.target.id}
    return set()


def python(code: str, cwd: Path) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=True, timeout=60
    )
    return result.stdout


def test_importing_the_package_loads_none_of_its_modules(tmp_path: Path) -> None:
    code = "import sys, prompt_objects; print(*(name for name in sys.modules if name.startswith('prompt_objects.')))"
    assert python(code, tmp_path).split() == []


def test_importing_any_module_writes_nothing_and_starts_nothing(tmp_path: Path) -> None:
    names = [
        ".".join(("prompt_objects", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        for path in modules()
        if path.stem != "__main__"
    ]
    code = (
        "import importlib, threading, json, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(json.dumps([threading.active_count(), sys.stdout is sys.__stdout__]))"
    )
    assert json.loads(python(code, tmp_path)) == [1, True]
    assert list(tmp_path.iterdir()) == []
