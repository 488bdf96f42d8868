"""`write_file` and `edit_file`: tools that write to the environment's folder, with diffs as previews."""

import re
from difflib import unified_diff
from threading import Lock
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from prompt_objects.errors import ToolError
from prompt_objects.runtime.context import Context
from prompt_objects.tools.base import Preview
from prompt_objects.tools.builtin.files import MAX_BYTES, FilePath
from prompt_objects.tools.decorator import tool
from prompt_objects.tools.path_guard import PathGuard
from prompt_objects.utils.text import pluralize

Content: TypeAlias = Annotated[str, Meta(description="The whole content of the file")]
OldText: TypeAlias = Annotated[
    str, Meta(min_length=1, description="Text exactly as in the file, with its indentation; it must occur only once")
]
NewText: TypeAlias = Annotated[str, Meta(description="The text that replaces it; may be empty")]
_BOM = "\ufeff"
_CONTEXT_LINES = 3
_MAX_DIFF_LINES = 1_000  # comparing takes quadratic time for similar texts
_LOCK = Lock()  # calls run concurrently: a read, change and write must not lose another call's change


class TextChange(Struct, frozen=True):
    """The content of a file before and after a change; `before` is None for a new file."""

    path: str
    before: str | None
    after: str

    def diff(self) -> str:
        old, new = _lines(self.before or ""), _lines(self.after)
        start, end = _common_lines(old, new)
        hunks = _hunks(old[start : len(old) - end], new[start : len(new) - end], start)
        if not hunks:
            return ""
        header = [f"--- a/{self.path}\n" if self.before is not None else "--- /dev/null\n", f"+++ b/{self.path}\n"]
        marked = (line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in hunks)
        return "".join([*header, *marked])

    def summary(self) -> str:
        if self.before is None:
            return f"Created {self.path}, {pluralize(len(_lines(self.after)), 'line')}."
        old, new = _lines(self.before), _lines(self.after)
        start, end = _common_lines(old, new, context=0)
        removed, added = len(old) - start - end, len(new) - start - end
        if not removed and not added:
            return f"{self.path} is unchanged: the new text equals the old text."
        return (
            f"Changed {self.path} from line {start + 1} on: "
            f"{pluralize(removed, 'line')} removed, {pluralize(added, 'line')} added."
        )


def _preview_write(path: FilePath, content: Content, *, context: Context) -> Preview:
    return Preview(rewrite(PathGuard.of(context), path, content).diff(), shows=("path", "content"))


def _preview_edit(path: FilePath, old_text: OldText, new_text: NewText, *, context: Context) -> Preview:
    change = replace_text(PathGuard.of(context), path, old_text, new_text)
    return Preview(change.diff(), shows=("path", "old_text", "new_text"))


@tool(effect="write", preview=_preview_write)
def write_file(path: FilePath, content: Content, *, context: Context) -> str:
    """Write a text file in the environment's folder: create it or replace its whole content."""
    guard = PathGuard.of(context)
    with _LOCK:
        return _apply(guard, rewrite(guard, path, content), context)


@tool(effect="write", preview=_preview_edit)
def edit_file(path: FilePath, old_text: OldText, new_text: NewText, *, context: Context) -> str:
    """Replace one exact text in a file of the environment's folder by another; the rest stays unchanged."""
    guard = PathGuard.of(context)
    with _LOCK:
        return _apply(guard, replace_text(guard, path, old_text, new_text), context)


def rewrite(guard: PathGuard, path: str, content: str) -> TextChange:
    """Return the change that writes `content`, with the line ends and byte order mark of an existing file."""
    name = _writable_name(guard, path)
    data = guard.read_if_exists(path, MAX_BYTES)
    if data is None:
        return TextChange(name, None, content)
    before = _decode(path, data)
    if _has_crlf(before):
        content = _crlf(content)
    if before.startswith(_BOM) and not content.startswith(_BOM):
        content = _BOM + content
    return TextChange(name, before, content)


def replace_text(guard: PathGuard, path: str, old_text: str, new_text: str) -> TextChange:
    """Return the change that replaces `old_text`, which must occur exactly once, by `new_text`."""
    name = _writable_name(guard, path)
    before = _decode(path, guard.read(path, MAX_BYTES))
    pattern = re.compile(re.escape(old_text))
    if not pattern.search(before):  # models read and write line feeds, whatever line ends the file has
        pattern = re.compile(r"\r?\n".join(map(re.escape, _lf(old_text).split("\n"))))
    found = pattern.search(before)
    if not found:
        raise ToolError(f"{path} does not contain the old text. Read the file, and give the text exactly as it is.")
    start = found.start()
    if second := pattern.search(before, start + 1):
        lines = " and ".join(str(before.count("\n", 0, at) + 1) for at in (start, second.start()))
        raise ToolError(
            f"The old text is in {path} more than once (lines {lines}). Include more of the text around it."
        )
    if _ends_with_cr(before, start):
        new_text = _crlf(new_text)
    return TextChange(name, before, before[:start] + new_text + before[found.end() :])


def _apply(guard: PathGuard, change: TextChange, context: Context) -> str:
    data = encode_text(change.after)
    if context.approved_diff not in {None, change.diff()}:
        raise ToolError(f"{change.path} changed after the user approved the change. Nothing was written; try again.")
    if change.after != change.before:
        guard.write(change.path, data)
    return change.summary()


def encode_text(text: str) -> bytes:
    """Return a text in UTF-8. Raises `ToolError` if it cannot be encoded."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ToolError("The text contains a lone surrogate (half of a character).") from error


def _writable_name(guard: PathGuard, path: str) -> str:
    """Return the path that the user is shown: it must look like the file that is written."""
    name = guard.writable(path)
    if not name.isprintable():
        raise ToolError(f"{path!r} contains characters that cannot be shown.")
    return name


def _decode(path: str, data: bytes) -> str:
    try:
        if b"\0" not in data:
            return data.decode()
    except UnicodeDecodeError:
        pass
    raise ToolError(f"{path} is not UTF-8 text; it is left unchanged.")


def _has_crlf(text: str) -> bool:
    """Return whether all lines end with CR LF. Mixed line ends are not adapted."""
    return 0 < text.count("\r\n") == text.count("\n")


def _ends_with_cr(text: str, start: int) -> bool:
    """Return whether the line at `start`, or the one before it if it is the last one, ends with CR LF."""
    end = text.find("\n", start)
    if end < 0:
        end = text.rfind("\n")
    return end > 0 and text[end - 1] == "\r"


def _lf(text: str) -> str:
    return text.replace("\r\n", "\n")


def _crlf(text: str) -> str:
    return _lf(text).replace("\n", "\r\n")


def _lines(text: str) -> list[str]:
    """Split at line feeds only, as `read_file` counts lines; keep the line feeds."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _common_lines(old: list[str], new: list[str], context: int = _CONTEXT_LINES) -> tuple[int, int]:
    """Count the equal lines at the start and at the end, without the context lines that a diff shows."""
    shorter = min(len(old), len(new))
    start = next((n for n in range(shorter) if old[n] != new[n]), shorter)
    most = shorter - start
    end = next((n for n in range(most) if old[-1 - n] != new[-1 - n]), most)
    return max(0, start - context), max(0, end - context)


def _hunks(old: list[str], new: list[str], start: int) -> list[str]:
    """Compare the lines after the first `start`; texts that are too long to compare become one hunk."""
    if max(len(old), len(new)) <= _MAX_DIFF_LINES:
        lines = list(unified_diff(old, new, n=_CONTEXT_LINES))[2:]
        return [_shift(line, start) if line.startswith("@@ ") else line for line in lines]
    spans = [f"{start + bool(lines)},{len(lines)}" for lines in (old, new)]
    return [f"@@ -{spans[0]} +{spans[1]} @@\n", *("-" + line for line in old), *("+" + line for line in new)]


def _shift(hunk_header: str, lines: int) -> str:
    return re.sub(r"(?<=[-+])\d+", lambda number: str(int(number[0]) + lines), hunk_header)
