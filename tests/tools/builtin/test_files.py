"""`read_file` and `list_files`: what they can read, and their errors."""

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from prompt_objects.errors import ToolError
from prompt_objects.tools.builtin.files import MAX_CHARACTERS, list_folder, read_text
from prompt_objects.tools.path_guard import PathGuard


def within(folder: Path) -> PathGuard:
    return PathGuard(folder, (folder / "state",))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "env"
    (root / "docs").mkdir(parents=True)
    (root / "README.md").write_text("one\ntwo\nthree\n")
    (root / "docs" / "a.md").write_text("A")
    (root / ".prompt_objects").mkdir()
    (root / ".prompt_objects" / "index.json").write_text("{}")
    (root / "state" / "sessions").mkdir(parents=True)
    (root / "state" / "sessions" / "index.json").write_text("{}")
    (root / ".env").write_text("KEY=secret")
    (tmp_path / "secret.txt").write_text("secret")
    (root / "out").symlink_to(tmp_path / "secret.txt")
    (root / "up").symlink_to(tmp_path)
    (root / "sly").symlink_to(root / ".env")
    (root / "inside").symlink_to(root / "README.md")
    return root


def test_a_file_is_read_completely_or_from_a_line_on(folder: Path) -> None:
    assert read_text(within(folder), "README.md") == "one\ntwo\nthree"
    assert read_text(within(folder), "./README.md", 2) == "two\nthree"
    assert read_text(within(folder), "docs/a.md") == "A"
    assert read_text(within(folder), "inside") == "one\ntwo\nthree"
    with pytest.raises(ToolError, match="has 3 lines"):
        read_text(within(folder), "README.md", 4)


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "docs/../../secret.txt",
        "/etc/passwd",
        "~/x",
        "out",
        "up/secret.txt",
        ".env",
        "sly",
        ".prompt_objects/index.json",
        "state/sessions/index.json",
        "state",
        "docs/../.env",
        "C:\\Windows",
        "..\\secret.txt",
        "a\0b",
        "README.md/../../x",
    ],
)
def test_files_outside_and_hidden_files_are_not_read(folder: Path, path: str) -> None:
    with pytest.raises(ToolError):
        read_text(within(folder), path)
    with pytest.raises(ToolError):
        list_folder(within(folder), path)


def test_a_long_file_is_cut_between_lines_with_the_next_line_number(folder: Path) -> None:
    lines = [f"line {n}\f {'x' * 90}" for n in range(2000)]
    (folder / "long.txt").write_text("\n".join(lines))
    collected: list[str] = []
    start = 1
    while True:
        *shown, last = read_text(within(folder), "long.txt", start).split("\n")
        collected += shown
        if not last.startswith("["):
            break
        assert len("\n".join(shown)) <= MAX_CHARACTERS
        start = int(last.rstrip("]").rsplit(" ", 1)[1])
    assert [*collected, last] == lines


def test_a_very_long_line_is_cut_with_the_next_column(folder: Path) -> None:
    (folder / "wide.txt").write_text("x" * (2 * MAX_CHARACTERS) + "\nend")
    shown = read_text(within(folder), "wide.txt")
    assert shown.endswith("continue with start_line 1, start_column 50001]")
    rest = read_text(within(folder), "wide.txt", 1, MAX_CHARACTERS + 1)
    assert rest == "x" * MAX_CHARACTERS + "\n[1 of 2 lines are left; continue with start_line 2]"
    with pytest.raises(ToolError, match="Line 2 has 3 characters; start_column 4 is past the end"):
        read_text(within(folder), "wide.txt", 2, 4)
    assert read_text(within(folder), "wide.txt", 2) == "end"


def test_a_folder_swapped_for_a_link_does_not_lead_out(folder: Path, tmp_path: Path) -> None:
    """A link may replace a folder between the check and the read."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.md").write_text("secret")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (folder / "docs").rename(folder / "docs2")
            (folder / "docs").symlink_to(tmp_path / "outside")
            (folder / "docs").unlink()
            (folder / "docs2").rename(folder / "docs")

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(3000):
            with suppress(ToolError):
                assert read_text(within(folder), "docs/a.md") == "A"
    finally:
        stop.set()
        swapper.join()


def test_binary_files_and_other_encodings_are_reported(folder: Path) -> None:
    (folder / "b.bin").write_bytes(b"\x89PNG\0\0")
    (folder / "l.txt").write_bytes("Grüße".encode("latin-1"))
    (folder / "bom.txt").write_bytes("\ufeffHi".encode())
    (folder / "empty").write_bytes(b"")
    assert "binary file of 6 bytes" in read_text(within(folder), "b.bin")
    assert "not UTF-8" in read_text(within(folder), "l.txt")
    assert read_text(within(folder), "bom.txt") == "Hi"
    assert read_text(within(folder), "empty") == "empty is empty."


def test_anything_but_a_regular_file_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    for path, words in {"docs": "is a folder", "pipe": "not a regular file", "nope": "no file"}.items():
        with pytest.raises(ToolError, match=words):
            read_text(within(folder), path)
    with pytest.raises(ToolError, match="no folder"):
        list_folder(within(folder), "nope")


def test_link_loops_and_overlong_names_are_refused(folder: Path) -> None:
    (folder / "loop").symlink_to(folder / "loop")
    with pytest.raises(ToolError):
        read_text(within(folder), "loop")
    with pytest.raises(ToolError):
        read_text(within(folder), "x" * 5000)


def test_a_listing_has_folders_sizes_and_links_but_nothing_hidden(folder: Path) -> None:
    assert list_folder(within(folder)).splitlines() == [
        "README.md (14 bytes)",
        "docs/",
        "inside (link)",
        "out (link)",
        "sly (link)",
        "state/",
        "up (link)",
    ]
    assert list_folder(within(folder), "docs") == "a.md (1 byte)"
    assert "docs/a.md (1 byte)" in list_folder(within(folder), recursive=True).splitlines()


def test_a_long_listing_is_cut(folder: Path) -> None:
    for n in range(600):
        (folder / "docs" / f"{n}.txt").touch()
    lines = list_folder(within(folder), "docs").splitlines()
    assert len(lines) == 501
    assert "more than 500" in lines[-1]
