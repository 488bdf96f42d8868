"""Writing to the environment's folder: `write_file` and `edit_file`, and the diffs of what they would do."""

import re
from collections.abc import Mapping
from difflib import unified_diff
from threading import Lock
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from prompt_objects.errors import ToolError
from prompt_objects.runtime.context import Context
from prompt_objects.tools.base import Run
from prompt_objects.tools.builtin.files import MOST_BYTES, FilePath
from prompt_objects.tools.decorator import tool
from prompt_objects.tools.path_guard import PathGuard
from prompt_objects.utils.text import pluralize

__all__ = [
    "EDIT_TOOLS",
    "PREVIEWS",
    "edit_file",
    "write_file",
]

Content: TypeAlias = Annotated[str, Meta(description="All that the file is to hold")]
OldText: TypeAlias = Annotated[
    str, Meta(min_length=1, description="Text as it stands in the file, indentation included, and stands there once")
]
NewText: TypeAlias = Annotated[str, Meta(description="What is to stand there instead; may be empty")]
_BOM = "\ufeff"
_CONTEXT_LINES = 3
_MOST_COMPARED = 1_000  # lines; comparing takes the square of their number when they are much alike
# What is read, changed and written again is not to lose what a call beside it writes to the same file.
_ONE_AT_A_TIME = Lock()


class TextChange(Struct, frozen=True):
    """What a file holds and what it would hold; `before` is None where there is none yet."""

    path: str
    before: str | None
    after: str

    def diff(self) -> str:
        """Return the change as a unified diff; empty where there is none."""
        old, new = _lines(self.before or ""), _lines(self.after)
        start, end = _alike(old, new)
        hunks = _hunks(old[start : len(old) - end], new[start : len(new) - end], start)
        if not hunks:
            return ""
        heads = [f"--- a/{self.path}\n" if self.before is not None else "--- /dev/null\n", f"+++ b/{self.path}\n"]
        marked = (line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in hunks)
        return "".join([*heads, *marked])

    def summary(self) -> str:
        """Say in a sentence what was done."""
        if self.before is None:
            return f"Made {self.path}, {pluralize(len(_lines(self.after)), 'line')}."
        old, new = _lines(self.before), _lines(self.after)
        start, end = _alike(old, new, context=0)
        gone, come = len(old) - start - end, len(new) - start - end
        if not gone and not come:
            return f"{self.path} is as it was: the new text is the old one."
        removed, added = pluralize(gone, "line"), pluralize(come, "line")
        return f"Changed {self.path} from line {start + 1} on: {removed} out, {added} in."


@tool(effect="write")
def write_file(path: FilePath, content: Content, *, context: Context) -> str:
    """Write a text file of the environment's folder, a new one or over the one that is there."""
    with _ONE_AT_A_TIME:
        return _carried_out(PathGuard.of(context), rewriting(PathGuard.of(context), path, content))


@tool(effect="write")
def edit_file(path: FilePath, old_text: OldText, new_text: NewText, *, context: Context) -> str:
    """Replace a text in a file of the environment's folder by another, exactly, and nothing else in it."""
    with _ONE_AT_A_TIME:
        return _carried_out(PathGuard.of(context), replacing(PathGuard.of(context), path, old_text, new_text))


@tool
def write_file_preview(path: FilePath, content: Content, *, context: Context) -> str:
    """Return the diff that `write_file` would make."""
    return rewriting(PathGuard.of(context), path, content).diff()


@tool
def edit_file_preview(path: FilePath, old_text: OldText, new_text: NewText, *, context: Context) -> str:
    """Return the diff that `edit_file` would make."""
    return replacing(PathGuard.of(context), path, old_text, new_text).diff()


EDIT_TOOLS = (write_file, edit_file)
PREVIEWS: Mapping[str, Run] = {"write_file": write_file_preview.run, "edit_file": edit_file_preview.run}
"""By a tool's name, what returns the unified diff that a call of it would make, and raises what it would raise."""


def rewriting(within: PathGuard, path: str, content: str) -> TextChange:
    """Return the change that writes `content`, in the form (line ends, byte order mark) of what is there."""
    name = _name(within, path)
    before = _text(path, within.find(path, MOST_BYTES))
    if before is None:
        return TextChange(name, None, content)
    if _has_crlf(before):
        content = _crlf(content)
    if before.startswith(_BOM) and not content.startswith(_BOM):
        content = _BOM + content
    return TextChange(name, before, content)


def replacing(within: PathGuard, path: str, old_text: str, new_text: str) -> TextChange:
    """Return the change that puts `new_text` in the place of `old_text`, which must stand in the file once."""
    name = _name(within, path)
    before = _text(path, within.read(path, MOST_BYTES)) or ""
    if _has_crlf(before):
        old_text, new_text = _crlf(old_text), _crlf(new_text)
    start = before.find(old_text)
    if start < 0:
        raise ToolError(f"The old text does not stand in {path}. Read the file, and give it exactly as it is there.")
    if (again := before.find(old_text, start + 1)) >= 0:
        lines = " and ".join(str(before.count("\n", 0, at) + 1) for at in (start, again))
        raise ToolError(f"The old text is in {path} more than once (lines {lines}). Give more of what is around it.")
    return TextChange(name, before, before[:start] + new_text + before[start + len(old_text) :])


def _carried_out(within: PathGuard, change: TextChange) -> str:
    try:
        data = change.after.encode()
    except UnicodeEncodeError as error:
        raise ToolError("The new text has half a character (a lone surrogate) in it.") from error
    if change.after != change.before:
        within.write(change.path, data)
    return change.summary()


def _name(within: PathGuard, path: str) -> str:
    """Return what a path means; whoever is asked about the change is to see nothing else in its place."""
    name = within.writable(path)
    if not name.isprintable():
        raise ToolError(f"{path!r} has characters in it that cannot be shown.")
    return name


def _text(path: str, data: bytes | None) -> str | None:
    if data is None:
        return None
    try:
        if b"\0" not in data:
            return data.decode()
    except UnicodeDecodeError:
        pass
    raise ToolError(f"{path} is not UTF-8 text, and is left as it is.")


def _has_crlf(text: str) -> bool:
    """Say whether all lines end as on Windows; of a file that mixes line ends each is left as it is."""
    return 0 < text.count("\r\n") == text.count("\n")


def _crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def _lines(text: str) -> list[str]:
    """Split at line feeds only, as `read_file` counts lines, and keep them."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _alike(old: list[str], new: list[str], context: int = _CONTEXT_LINES) -> tuple[int, int]:
    """Count the lines that are the same at the beginning and at the end, without those that a diff shows."""
    shorter = min(len(old), len(new))
    start = next((n for n in range(shorter) if old[n] != new[n]), shorter)
    most = shorter - start
    end = next((n for n in range(most) if old[-1 - n] != new[-1 - n]), most)
    return max(0, start - context), max(0, end - context)


def _hunks(old: list[str], new: list[str], start: int) -> list[str]:
    """Compare what stands after `start` lines; what is too long to compare is all taken out, and put in."""
    if max(len(old), len(new)) <= _MOST_COMPARED:
        lines = list(unified_diff(old, new, n=_CONTEXT_LINES))[2:]
        return [_moved(line, start) if line.startswith("@@ ") else line for line in lines]
    spans = [f"{start + bool(lines)},{len(lines)}" for lines in (old, new)]
    return [f"@@ -{spans[0]} +{spans[1]} @@\n", *("-" + line for line in old), *("+" + line for line in new)]


def _moved(head: str, lines: int) -> str:
    """Count a hunk's lines from the beginning of the file on."""
    return re.sub(r"(?<=[-+])\d+", lambda number: str(int(number[0]) + lines), head)
