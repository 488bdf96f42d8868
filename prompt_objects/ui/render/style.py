"""How everything on the screen looks, by its role; nothing is told by colour alone."""

from typing import TypeAlias

from prompt_toolkit.styles import Style

__all__ = [
    "STYLE",
    "Line",
    "plain",
]

Line: TypeAlias = list[tuple[str, str]]
"""One line on the screen: pieces of text, each with its style before it; no line breaks."""
STYLE = Style.from_dict(
    {
        "prompt": "bold",
        "said": "bold",  # what the person said
        "speaker": "bold ansicyan",  # the heading of what passes between prompt objects
        "bar": "ansicyan",
        "call": "ansibrightblack",
        "done": "ansibrightblack",
        "failed": "ansired",
        "added": "ansigreen",
        "removed": "ansired",
        "hint": "ansibrightblack",
        "notice": "ansiyellow",
        "status": "italic ansibrightblack",
        "title": "bold",
        "current": "bold",
        "toolbar": "noreverse ansibrightblack",
        "toolbar.hint": "noreverse bold",
        "completion-menu": "fg:default bg:default",
        "completion-menu.completion": "fg:default bg:default",
        "completion-menu.completion.current": "fg:default bg:default reverse",
        "completion-menu.meta.completion": "ansibrightblack bg:default",
        "completion-menu.meta.completion.current": "fg:default bg:default reverse",
        "scrollbar.background": "bg:default",
        "scrollbar.button": "fg:default bg:default reverse",
    }
)


def plain(lines: list[Line]) -> str:
    """Return the lines as text, for a terminal that knows no styles."""
    return "\n".join("".join(text for _, text in line).rstrip() for line in lines)
