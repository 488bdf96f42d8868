"""Tool files and installed packages: a faulty one does not affect the others, and only trusted bytes run."""

import json
import py_compile
import sys
from importlib.util import cache_from_source
from pathlib import Path
from py_compile import PycInvalidationMode

import pytest

from prompt_objects.tools.loader import LoadedTools, entry_point_tools, load_tool_files, read_tool_files
from tests.support.tool_calls import call

HEAD = "from prompt_objects.tools.decorator import tool\n"
DICE = (
    HEAD
    + '''

@tool
def dice(sides: int = 6) -> int:
    """Throw a die."""
    return sides


@tool(effect="write")
async def cup() -> None:
    """Shake."""
'''
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    return tmp_path


def write(folder: Path, **sources: str) -> LoadedTools:
    for name, source in sources.items():
        (folder / "tools" / f"{name}.py").write_text(source)
    files, notices = read_tool_files(folder)
    assert notices == ()
    return load_tool_files(files)


def test_all_tools_of_all_files_are_loaded(folder: Path) -> None:
    found = write(folder, dice=DICE, more=DICE.replace("dice", "coin").replace("cup", "hat"))
    assert list(found.tools) == ["dice", "cup", "coin", "hat"]
    assert found.notices == ()
    assert found.tools["cup"].effect == "write"
    assert call(found.tools["dice"], folder, sides=3) == "3"


def test_a_folder_without_tools_gives_no_notices(tmp_path: Path) -> None:
    assert read_tool_files(tmp_path) == ({}, ())
    assert load_tool_files({}) == LoadedTools({})


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("x = 1\n  y = 2\n", "bad.py:2: IndentationError: unexpected indent"),
        ("\n\nimport no_such_module\n", "bad.py:3: ModuleNotFoundError: No module named 'no_such_module'"),
        (HEAD + "\n@tool\ndef f(a):\n    '''Do.'''\n", "bad.py:3: TypeError: f: the parameter a needs a type."),
        (HEAD + "\ndef f():\n    1 / 0\n\nf()\n", "bad.py:4: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "bad.py:1: It ended the program, which a tool file must not do."),
        ("x = 1", "bad.py: There is no tool in it. Write @tool above a function."),
        ("\0", "bad.py: "),
        ("def f(:\n", "bad.py:1: SyntaxError: invalid syntax"),
    ],
)
def test_a_faulty_file_is_reported_with_its_line_and_other_files_load(folder: Path, source: str, error: str) -> None:
    found = write(folder, bad=source, dice=DICE)
    assert list(found.tools) == ["dice", "cup"]
    (notice,) = found.notices
    assert notice.startswith(str(folder / "tools" / error.removesuffix(": ")))


def test_a_name_is_given_once(folder: Path) -> None:
    found = write(folder, a=DICE, b=DICE)
    assert list(found.tools) == ["dice", "cup"]
    assert len(found.notices) == 2
    assert f"{folder / 'tools' / 'b.py'}: There is already a tool called 'dice'" in found.notices[0]
    files, _ = read_tool_files(folder)
    assert set(load_tool_files(files, taken={"dice"}).tools) == {"cup"}


def test_reading_runs_no_code_and_exactly_the_read_bytes_run_later(folder: Path) -> None:
    marker = folder / "loaded"
    (folder / "tools" / "dice.py").write_text(f"from pathlib import Path\nPath({str(marker)!r}).touch()\n{DICE}")
    files, _ = read_tool_files(folder)
    assert not marker.exists()
    (folder / "tools" / "dice.py").write_text("raise AssertionError('this was not read')")
    assert load_tool_files(files).notices == ()
    assert marker.exists()


def test_bytecode_is_neither_written_nor_used(folder: Path) -> None:
    assert write(folder, dice=DICE).notices == ()
    assert not (folder / "tools" / "__pycache__").exists()
    (folder / "other.py").write_text("raise AssertionError('this is not what the file says')")
    cached = cache_from_source(str(folder / "tools" / "dice.py"))
    py_compile.compile(str(folder / "other.py"), cached, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    assert write(folder, dice=DICE).notices == ()


def test_hidden_and_private_files_folders_and_dead_links_are_skipped(folder: Path) -> None:
    for name in ("_helper.py", ".hidden.py", "notes.txt"):
        (folder / "tools" / name).write_text("raise AssertionError")
    (folder / "tools" / "folder.py").mkdir()
    (folder / "tools" / "dead.py").symlink_to(folder / "nowhere")
    assert read_tool_files(folder) == ({}, ())


def test_types_written_as_strings_are_resolved(folder: Path) -> None:
    source = f"""from __future__ import annotations
from dataclasses import dataclass
from msgspec import Struct
{HEAD}
class Place(Struct):
    city: str
    near: list[Place] = []

@dataclass
class Weather:
    city: str

@tool
def weather(place: Place) -> Weather:
    '''Say it.'''
    return Weather(place.near[0].city)
"""
    found = write(folder, weather=source)
    assert found.notices == ()
    answer = call(found.tools["weather"], folder, place={"city": "Ulm", "near": [{"city": "Bad Urach"}]})
    assert json.loads(answer) == {"city": "Bad Urach"}


def test_two_environments_can_have_tool_files_with_the_same_name(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "tools").mkdir(parents=True)
        source = DICE.replace("return sides", f"return {name!r}")
        found = write(tmp_path / name, dice=source)
        assert call(found.tools["dice"], tmp_path / name) == f"{name}"


def package(site: Path, name: str, entry_points: str) -> None:
    """Write the metadata of an installed package."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[prompt_objects.tools]\n{entry_points}\n")


def test_tools_of_installed_packages_are_loaded_despite_faulty_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gambling.py").write_text(DICE + "\nboth = [dice, cup]\nnumber = 7\n")
    package(tmp_path, "gambling", "dice = gambling:dice\nall = gambling:both\nnumber = gambling:number")
    package(tmp_path, "broken", "x = no_such_module:x\ny = gambling:nothing")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    found = entry_point_tools()
    assert set(found.tools) == {"dice", "cup"}
    assert sorted(found.notices) == [
        "The tool 'dice' of the package gambling: There is already a tool called 'dice'; this one is left out.",
        "The tool 'number' of the package gambling: TypeError: gambling:number must be a tool, not int",
        "The tool 'x' of the package broken: ModuleNotFoundError: No module named 'no_such_module'",
        "The tool 'y' of the package broken: AttributeError: module 'gambling' has no attribute 'nothing'",
    ]
    assert set(entry_point_tools(taken={"dice"}).tools) == {"cup"}
