"""File tools create missing folders, but only a limited number."""

from pathlib import Path

import pytest

from prompt_objects.errors import ToolError
from prompt_objects.tools.path_guard import PathGuard


def test_missing_folders_are_created(tmp_path: Path) -> None:
    PathGuard(tmp_path).write("a/" * 50 + "file", b"text")
    assert (tmp_path / ("a/" * 50) / "file").read_bytes() == b"text"


def test_a_path_with_very_many_new_folders_is_refused_and_creates_none(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"At most 50 folders can be created for a file; 1,100 are missing\."):
        PathGuard(tmp_path).write("a/" * 1_100 + "file", b"text")
    assert list(tmp_path.iterdir()) == []
