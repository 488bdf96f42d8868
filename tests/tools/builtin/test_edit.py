"""`write_file` and `edit_file` write exactly the requested change, and the preview shows it."""

import asyncio
import os
import shutil
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from prompt_objects.errors import ToolError
from prompt_objects.tools.base import Tool
from prompt_objects.tools.builtin.edit import TextChange, edit_file, write_file
from prompt_objects.tools.path_guard import PathGuard
from tests.support.tool_calls import as_coroutine, call, context_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "env"
    (root / "docs").mkdir(parents=True)
    (root / "docs" / "a.md").write_text("one\ntwo\nthree\n")
    return root


async def preview(name: str, folder: Path, **arguments: Any) -> str:
    tool = {"write_file": write_file, "edit_file": edit_file}[name]
    assert tool.preview
    return (await tool.preview(arguments, context_of(folder))).diff


def left_in(folder: Path) -> set[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.name for path in files if ".prompt_objects" not in path.parts}


@pytest.mark.parametrize("tool", [write_file, edit_file])
def test_both_tools_have_the_effect_write_and_a_preview(tool: Tool) -> None:
    assert tool.effect == "write"
    assert tool.preview


def test_a_file_is_created_with_its_folders(folder: Path) -> None:
    result = call(write_file, folder, path="src/deep/b.py", content="x = 1\n")
    assert result == "Created src/deep/b.py, 1 line."
    assert (folder / "src/deep/b.py").read_text() == "x = 1\n"
    assert left_in(folder) == {"a.md", "b.py"}


def test_only_the_given_text_is_replaced(folder: Path) -> None:
    result = call(edit_file, folder, path="docs/a.md", old_text="two\n", new_text="2\n2.5\n")
    assert result == "Changed docs/a.md from line 2 on: 1 line removed, 2 lines added."
    assert (folder / "docs/a.md").read_text() == "one\n2\n2.5\nthree\n"


def test_a_missing_or_ambiguous_text_changes_nothing(folder: Path) -> None:
    (folder / "twice").write_text("aaa\nb\naaa\n")
    for path, old, words in (
        ("docs/a.md", "four", "docs/a.md does not contain the old text"),
        ("twice", "aaa", r"more than once \(lines 1 and 3\)"),
        ("twice", "aa", r"more than once \(lines 1 and 1\)"),
        ("nope", "x", "no file 'nope'"),
        ("docs/a.md", "", "`old_text` is invalid"),
    ):
        with pytest.raises(ToolError, match=words):
            call(edit_file, folder, path=path, old_text=old, new_text="")
    assert (folder / "twice").read_text() == "aaa\nb\naaa\n"


def test_permissions_are_kept_and_a_protected_file_is_not_changed(folder: Path) -> None:
    script = folder / "run.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o750)
    call(edit_file, folder, path="run.sh", old_text="sh\n", new_text="sh\necho\n")
    assert script.stat().st_mode & 0o7777 == 0o750
    script.chmod(0o444)
    if os.access(script, os.W_OK):
        pytest.skip("nothing is protected from this user")
    with pytest.raises(ToolError, match="write-protected"):
        call(write_file, folder, path="run.sh", content="")


def test_line_ends_and_byte_order_mark_are_kept(folder: Path) -> None:
    (folder / "dos.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    call(edit_file, folder, path="dos.txt", old_text="one\ntwo", new_text="1\n2")
    assert (folder / "dos.txt").read_bytes() == b"\xef\xbb\xbf1\r\n2\r\n"
    call(write_file, folder, path="dos.txt", content="new\nlines\n")
    assert (folder / "dos.txt").read_bytes() == b"\xef\xbb\xbfnew\r\nlines\r\n"
    (folder / "mixed.txt").write_bytes(b"a\r\nb\nc\r\n")
    call(edit_file, folder, path="mixed.txt", old_text="b", new_text="B")
    assert (folder / "mixed.txt").read_bytes() == b"a\r\nB\nc\r\n"


def test_a_text_is_found_across_mixed_line_ends_and_keeps_those_around_it(folder: Path) -> None:
    file = folder / "mixed.txt"
    file.write_bytes(b"a\r\nb\nc\r\nd\n")
    call(edit_file, folder, path="mixed.txt", old_text="a\nb\n", new_text="A\nB\n")
    assert file.read_bytes() == b"A\r\nB\r\nc\r\nd\n"
    call(edit_file, folder, path="mixed.txt", old_text="d\r\n", new_text="D\n")
    assert file.read_bytes() == b"A\r\nB\r\nc\r\nD\n"
    file.write_bytes(b"x\r\ny\nz\nx\ny\nz")
    with pytest.raises(ToolError, match=r"more than once \(lines 1 and 4\)"):
        call(edit_file, folder, path="mixed.txt", old_text="x\r\ny\r\n", new_text="")


def test_a_file_that_is_not_text_is_not_changed(folder: Path) -> None:
    (folder / "b.bin").write_bytes(b"\x89PNG\0")
    os.mkfifo(folder / "pipe")
    for path, words in {"b.bin": "not UTF-8", "pipe": "not a regular file", "docs": "is a folder"}.items():
        with pytest.raises(ToolError, match=words):
            call(write_file, folder, path=path, content="x")
    with pytest.raises(ToolError, match="lone surrogate"):
        call(write_file, folder, path="half", content="\ud800")
    assert (folder / "b.bin").read_bytes() == b"\x89PNG\0"


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/tmp/x",
        ".env",
        "docs/.hidden/x",
        ".",
        "objects/me.yaml",
        "Objects/me.yaml",
        "objects",
        "tools/new.py",
        "tools/deep/new.py",
        "environment.yaml",
        "ENVIRONMENT.YAML",
        "pos/me.yaml",
        "out/x",
        "docs/a.md/x",
        "sly\u202egnp.exe",
        "a\nb",
    ],
)
def test_files_outside_hidden_files_and_configuration_are_not_written(
    folder: Path, tmp_path: Path, path: str
) -> None:
    context_of(folder)
    (folder / "pos").symlink_to(folder / "objects")
    (folder / "out").symlink_to(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ToolError):
        call(write_file, folder, path=path, content="x")
    assert sorted(tmp_path.rglob("*")) == before


async def test_only_the_change_that_was_approved_is_written(folder: Path) -> None:
    arguments = {"path": "docs/a.md", "content": "new\n"}
    seen = await preview("write_file", folder, **arguments)
    (folder / "docs" / "a.md").write_text("changed by another program\n")
    approved = replace(context_of(folder), approved_diff=seen)
    with pytest.raises(ToolError, match="changed after the user approved"):
        await write_file.run(arguments, approved)
    assert (folder / "docs" / "a.md").read_text() == "changed by another program\n"
    (folder / "docs" / "a.md").write_text("one\ntwo\nthree\n")
    await write_file.run(arguments, approved)
    assert (folder / "docs" / "a.md").read_text() == "new\n"


def test_a_link_within_the_folder_is_followed_and_kept(folder: Path) -> None:
    (folder / "link.md").symlink_to(folder / "docs" / "a.md")
    result = call(edit_file, folder, path="link.md", old_text="one", new_text="1")
    assert result.startswith("Changed docs/a.md ")
    assert (folder / "link.md").is_symlink()
    assert (folder / "docs" / "a.md").read_text().startswith("1\n")


def test_a_folder_swapped_for_a_link_does_not_lead_out(folder: Path, tmp_path: Path) -> None:
    """A link may replace a folder between the check and the write."""
    outside = tmp_path / "outside"
    outside.mkdir()
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (folder / "docs").rename(folder / "docs2")
            with suppress(FileExistsError):
                (folder / "docs").symlink_to(outside)
            with suppress(OSError):
                (folder / "docs").unlink()
            while (folder / "docs2").exists():  # a missing folder is created again
                shutil.rmtree(folder / "docs", ignore_errors=True)
                with suppress(OSError):
                    (folder / "docs2").rename(folder / "docs")

    within = PathGuard(folder, (folder / ".prompt_objects",))
    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(1000):
            with suppress(ToolError):
                within.write("docs/a.md", b"x")
    finally:
        stop.set()
        swapper.join()
    assert list(outside.iterdir()) == []


async def test_concurrent_edits_lose_nothing(folder: Path) -> None:
    words = [f"word{n:02}." for n in range(20)]
    (folder / "all").write_text(" ".join(words))
    await asyncio.gather(
        *(
            as_coroutine(edit_file, folder, {"path": "all", "old_text": word, "new_text": word.upper()})
            for word in words
        )
    )
    assert (folder / "all").read_text() == " ".join(words).upper()


def test_a_reader_sees_the_whole_old_or_the_whole_new_content(folder: Path) -> None:
    contents = {"a" * 200_000, "b" * 200_000}
    (folder / "big").write_text(min(contents))
    contents_read: set[str] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            contents_read.add((folder / "big").read_text())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for content in sorted(contents) * 20:
            PathGuard(folder, (folder / ".state",)).write("big", content.encode())
    finally:
        stop.set()
        reader.join()
    assert contents_read <= contents


async def test_a_preview_is_the_diff_and_writes_nothing(folder: Path) -> None:
    assert await preview("edit_file", folder, path="./docs/a.md", old_text="two", new_text="2") == (
        "--- a/docs/a.md\n+++ b/docs/a.md\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"
    )
    assert await preview("write_file", folder, path="new", content="a\nb") == (
        "--- /dev/null\n+++ b/new\n@@ -0,0 +1,2 @@\n+a\n+b\n\\ No newline at end of file\n"
    )
    assert await preview("write_file", folder, path="docs/a.md", content="one\ntwo\nthree\n") == ""
    with pytest.raises(ToolError, match="configuration of the environment"):
        await preview("write_file", folder, path="objects/me.yaml", content="")
    with pytest.raises(ToolError, match="`content` is missing"):
        await preview("write_file", folder, path="new")
    assert (folder / "docs/a.md").read_text() == "one\ntwo\nthree\n"
    assert not (folder / "new").exists()


LINES = st.lists(st.sampled_from(["a", "b", "c\f", "", "d\r", "é\u2028"]), max_size=30)


@given(old=LINES, new=LINES, ends=st.tuples(st.booleans(), st.booleans()))
def test_a_diff_applied_to_the_old_text_gives_the_new_text(
    old: list[str], new: list[str], ends: tuple[bool, bool]
) -> None:
    before, after = ("\n".join(lines) + "\n" * end for lines, end in zip((old, new), ends, strict=True))
    assert patched(before, TextChange("f", before, after).diff()) == after


def patched(text: str, diff: str) -> str:
    """Apply a unified diff strictly, without the fuzziness of `patch`."""
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1:] = [lines[-1][:-1]] if lines[-1] != "\n" else []
    body = diff.split("\n")[2:-1] if diff else []
    for n, line in enumerate(body):
        if line.startswith("\\"):
            body[n - 1] += "\0"  # the line before has no end
    done: list[str] = []
    at = 0
    for line in body:
        if line.startswith("@@"):
            start, _, length = line.split()[1][1:].partition(",")
            upto = int(start) - (length != "0")
            done += lines[at:upto]
            at = upto
        elif not line.startswith("\\"):
            written = line[1:].removesuffix("\0") if line.endswith("\0") else line[1:] + "\n"
            if line[0] in " -":
                assert lines[at] == written
                at += 1
            if line[0] in " +":
                done.append(written)
    return "".join([*done, *lines[at:]])


@pytest.mark.skipif(shutil.which("patch") is None, reason="there is no patch")
def test_a_diff_of_a_long_file_is_fast_and_can_be_applied(tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    numbers = range(20_000)
    before = "".join(f"{n % 100}\n" for n in numbers)
    halves, one_other = (n // 2 % 100 for n in numbers), (n % 100 if n != 9000 else -1 for n in numbers)
    for changed in (halves, one_other, ()):
        after = "".join(f"{n}\n" for n in changed)
        file.write_text(before)
        diff = TextChange("long.txt", before, after).diff()
        subprocess.run(["patch", "-p1", "--quiet"], input=diff, text=True, cwd=tmp_path, check=True, timeout=30)
        assert file.read_text() == after
