"""The styles of everything on the screen, by role; no meaning depends on color alone."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Line: TypeAlias = list[tuple[str, str]]
"""One line on the screen: pairs of a style and a text without line breaks."""
STYLES: Mapping[str, str] = {
    "prompt": "bold",
    "user-message": "bold",
    "speaker": "bold ansicyan",  # the heading of messages between prompt objects
    "bar": "ansicyan",
    "call": "ansibrightblack",
    "done": "ansibrightblack",
    "failed": "ansired",
    "added": "ansigreen",
    "removed": "ansired",
    "hint": "ansibrightblack",
    "notice": "ansiyellow",
    "mark": "reverse",  # characters that would be invisible or mistaken
    "status": "italic ansibrightblack",
    "title": "bold",
    "current": "bold",
    "toolbar": "noreverse ansibrightblack",
    "toolbar.hint": "noreverse bold",
    "paste": "reverse",
    "completion-menu": "fg:default bg:default",
    "completion-menu.completion": "fg:default bg:default",
    "completion-menu.completion.current": "fg:default bg:default reverse",
    "completion-menu.meta.completion": "ansibrightblack bg:default",
    "completion-menu.meta.completion.current": "fg:default bg:default reverse",
    "scrollbar.background": "bg:default",
    "scrollbar.button": "fg:default bg:default reverse",
}


def plain(lines: Sequence[Line]) -> str:
    """Return the lines as text without styles."""
    return "\n".join("".join(text for _, text in line).rstrip() for line in lines)
