"""`search_files`: matches, skipped files and limits."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.errors import ToolError
from prompt_objects.tools.builtin.search import MAX_MATCHES, run_search, search_files
from tests.support.tool_calls import call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "env"
    (root / "src" / "deep").mkdir(parents=True)
    (root / "README.md").write_text("Needle here\nnothing\nand a needle\r\n")
    (root / "src" / "a.py").write_text("x = 1  # needle (a+b)\n")
    (root / "src" / "deep" / "b.py").write_text("needle\n")
    (root / ".env").write_text("KEY=needle")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("needle")
    (root / ".prompt_objects").mkdir()
    (root / ".prompt_objects" / "index.json").write_text("needle")
    (root / "b.bin").write_bytes(b"needle\0")
    (tmp_path / "secret.txt").write_text("needle")
    (root / "out").symlink_to(tmp_path)
    (root / "sly.txt").symlink_to(root / ".env")
    os.mkfifo(root / "pipe")
    return root


def search(folder: Path, pattern: str, **arguments: Any) -> list[str]:
    return call(search_files, folder, pattern=pattern, **arguments).split("\n")


def test_matching_lines_have_path_and_number_and_hidden_binary_and_outside_files_are_skipped(folder: Path) -> None:
    assert search(folder, "needle") == [
        "README.md:3: and a needle",
        "src/a.py:1: x = 1  # needle (a+b)",
        "src/deep/b.py:1: needle",
    ]
    assert search(folder, "NEEDLE", ignore_case=True)[0] == "README.md:1: Needle here"


def test_a_pattern_is_plain_text_unless_regex_is_set(folder: Path) -> None:
    assert search(folder, "(a+b)") == ["src/a.py:1: x = 1  # needle (a+b)"]
    assert search(folder, "^need.e$", regex=True) == ["src/deep/b.py:1: needle"]
    assert search(folder, "^need.e$") == ["No matches in 3 text files."]
    with pytest.raises(ToolError, match="not a valid regular expression"):
        search(folder, "(", regex=True)


@pytest.mark.parametrize(
    ("where", "files"),
    [
        ({"path": "src"}, ["src/a.py", "src/deep/b.py"]),
        ({"path": "src/deep"}, ["src/deep/b.py"]),
        ({"path": "src/a.py"}, ["src/a.py"]),
        ({"glob": "*.md"}, ["README.md"]),
        ({"glob": "b.*"}, ["src/deep/b.py"]),
        ({"glob": "src/**/*.py"}, ["src/a.py", "src/deep/b.py"]),
        ({"path": "src", "glob": "src/deep/*"}, ["src/deep/b.py"]),
    ],
)
def test_a_search_can_be_limited_to_a_folder_a_file_or_a_glob(
    folder: Path, where: dict[str, str], files: list[str]
) -> None:
    assert [line.partition(":")[0] for line in search(folder, "needle", **where)] == files


def test_a_path_that_cannot_be_searched_is_refused(folder: Path) -> None:
    for path in ("..", ".git", "out", "sly.txt", ".prompt_objects", "/etc"):
        with pytest.raises(ToolError):
            search(folder, "needle", path=path)
    with pytest.raises(ToolError, match="no file or folder 'nope'"):
        search(folder, "needle", path="nope")


def test_the_environments_state_is_skipped(folder: Path) -> None:
    (folder / "environment.yaml").write_text("data_dir: src/state\n")
    (folder / "src" / "state").mkdir()
    (folder / "src" / "state" / "index.json").write_text("needle")
    assert len(search(folder, "needle", path="src")) == 2


def test_many_matches_are_cut_and_long_lines_are_excerpts_around_the_match(folder: Path) -> None:
    (folder / "many.txt").write_text("match\n" * 1000)
    lines = search(folder, "match")
    assert len(lines) == MAX_MATCHES + 1
    assert "more than 200 lines" in lines[-1]
    (folder / "wide.txt").write_text("x" * 100_000 + "unusual" + "y" * 100_000)
    (line,) = search(folder, "unusual")
    assert "unusual" in line
    assert len(line) < 400


async def test_an_endless_search_is_stopped_and_its_matches_are_returned(folder: Path) -> None:
    (folder / "src" / "z.txt").write_text("a" * 100 + "b\n")
    request = {
        "root": str(folder),
        "start": [],
        "private": [],
        "pattern": "needle|^(a|a)*$",
        "glob": "",
        "regex": True,
        "ignore_case": False,
        "max_matches": 200,
    }
    start = time.perf_counter()
    lines = (await run_search(request, 1.0)).split("\n")
    assert time.perf_counter() - start < 3
    assert lines[0] == "README.md:3: and a needle"
    assert "incomplete" in lines[-1]


def test_file_names_that_are_not_text_are_returned_as_valid_text(folder: Path) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    try:
        (folder / name).write_text("unusual")
    except OSError:
        pytest.skip("this disk takes no such name")
    (line,) = search(folder, "unusual")
    assert line == "caf\ufffd.txt:1: unusual"
