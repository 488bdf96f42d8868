"""What the file tools may see, and how they say what they cannot."""

import os
from pathlib import Path

import pytest

from prompt_objects.errors import ToolError
from prompt_objects.tools.files import MOST_CHARACTERS, list_files, read_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "env"
    (root / "docs").mkdir(parents=True)
    (root / "README.md").write_text("one\ntwo\nthree\n")
    (root / "docs" / "a.md").write_text("A")
    (root / ".prompt_objects").mkdir()
    (root / ".prompt_objects" / "index.json").write_text("{}")
    (root / ".env").write_text("KEY=secret")
    (tmp_path / "secret.txt").write_text("secret")
    (root / "out").symlink_to(tmp_path / "secret.txt")
    (root / "up").symlink_to(tmp_path)
    (root / "sly").symlink_to(root / ".env")
    (root / "inside").symlink_to(root / "README.md")
    return root


def test_a_file_is_read_whole_or_from_a_line_on(folder: Path) -> None:
    assert read_file(folder, "README.md") == "one\ntwo\nthree\n"
    assert read_file(folder, "./README.md", 2) == "two\nthree\n"
    assert read_file(folder, "docs/a.md") == "A"
    assert read_file(folder, "inside") == "one\ntwo\nthree\n"
    with pytest.raises(ToolError, match="has 3 lines"):
        read_file(folder, "README.md", 4)


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
        "docs/../.env",
        "C:\\Windows",
        "..\\secret.txt",
        "a\0b",
        "README.md/../../x",
    ],
)
def test_nothing_outside_and_nothing_hidden_is_read(folder: Path, path: str) -> None:
    with pytest.raises(ToolError):
        read_file(folder, path)
    with pytest.raises(ToolError):
        list_files(folder, path)


def test_a_long_file_is_cut_and_says_where_to_go_on(folder: Path) -> None:
    lines = [f"line {n} {'x' * 90}" for n in range(2000)]
    (folder / "long.txt").write_text("\n".join(lines))
    first = read_file(folder, "long.txt")
    shown, _, note = first.rpartition("\n[")
    assert len(shown) == MOST_CHARACTERS
    go_on = int(note.rstrip("]").rsplit(" ", 1)[1])
    assert read_file(folder, "long.txt", go_on).startswith(f"line {go_on - 1} ")


def test_a_binary_file_and_other_encodings_are_named_as_such(folder: Path) -> None:
    (folder / "b.bin").write_bytes(b"\x89PNG\0\0")
    (folder / "l.txt").write_bytes("Grüße".encode("latin-1"))
    (folder / "bom.txt").write_bytes("\ufeffHi".encode())
    (folder / "empty").write_bytes(b"")
    assert "binary file of 6 bytes" in read_file(folder, "b.bin")
    assert "not UTF-8" in read_file(folder, "l.txt")
    assert read_file(folder, "bom.txt") == "Hi"
    assert read_file(folder, "empty") == "empty is empty."


def test_what_is_no_file_is_refused_in_words(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    for path, words in {"docs": "is a folder", "pipe": "not an ordinary file", "nope": "no file"}.items():
        with pytest.raises(ToolError, match=words):
            read_file(folder, path)
    with pytest.raises(ToolError, match="no folder"):
        list_files(folder, "nope")


def test_a_loop_of_links_and_an_endless_name_are_refused(folder: Path) -> None:
    (folder / "loop").symlink_to(folder / "loop")
    with pytest.raises(ToolError):
        read_file(folder, "loop")
    with pytest.raises(ToolError):
        read_file(folder, "x" * 5000)


def test_listing_shows_folders_sizes_and_links_and_nothing_hidden(folder: Path) -> None:
    assert list_files(folder).splitlines() == [
        "README.md (14 bytes)",
        "docs/",
        "inside (link)",
        "out (link)",
        "sly (link)",
        "up (link)",
    ]
    assert list_files(folder, "docs") == "a.md (1 bytes)"
    assert "docs/a.md (1 bytes)" in list_files(folder, recursive=True).splitlines()


def test_a_long_listing_is_cut(folder: Path) -> None:
    for n in range(600):
        (folder / "docs" / f"{n}.txt").touch()
    lines = list_files(folder, "docs").splitlines()
    assert len(lines) == 501
    assert "more than 500" in lines[-1]
