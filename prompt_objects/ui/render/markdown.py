"""Markdown as styled lines, also while it streams. rich and markdown-it are imported at the first use."""

import re
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from prompt_objects.ui.render.sanitize import clean, clean_line
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.render.text import Prose, cell_width, hard_wrap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from rich.console import Console
    from rich.style import Style


MIN_WIDTH = 8
MAX_BLOCK = 20_000
"""Characters of a block; a longer one is shown as plain text, since Markdown would take too long."""
MAX_HIGHLIGHTED = 10_000
"""Characters of a block; code in a longer one has no colors, which take even longer."""
LONG_LINE = 300
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_COLORS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "gray")
_BRIGHT = (*(f"bright{name}" for name in ("black", "red", "green", "yellow", "blue", "magenta", "cyan")), "white")
_LOOKS = {
    "markdown.h2": "bold underline",
    "markdown.h3": "bold",
    "markdown.h4": "bold",
    "markdown.h5": "bold",
    "markdown.h6": "bold",
    "markdown.code": "bold cyan",
    "markdown.block_quote": "italic",
    "markdown.hr": "bright_black",
    "markdown.item.bullet": "none",
    "markdown.item.number": "none",
    "markdown.table.header": "bold",
    "markdown.table.border": "bright_black",
}


def render(text: str, width: int, *, wrap_code: bool = False) -> list[Line]:
    """Draw Markdown in lines of at most `width` cells; prose is narrower.

    Lines of code stay whole, unless `wrap_code` is set, for text beside a bar.

    The address of a link follows its text. HTML is shown as text, and so is a text longer than `MAX_BLOCK`.
    """
    if len(text) > MAX_BLOCK:
        text = text.strip("\n")
        rows = clean(text).split("\n") if _FENCE.match(text) else hard_wrap(text, max(width, MIN_WIDTH))
        return [[("", row)] if row else [] for row in rows]
    tokens = _simplify(_parser().parse(clean(text)), highlight=len(text) <= MAX_HIGHLIGHTED)
    lines: list[Line] = []
    for block in _blocks(tokens):
        block_lines = _draw_block(block, max(width, MIN_WIDTH))
        if wrap_code:
            block_lines = [row for line in block_lines for row in _wrapped(line, max(width, MIN_WIDTH))]
        lines += [[], *block_lines] if lines and block_lines else block_lines
    return lines


def last_lines(text: str, lines: int) -> str:
    """Return the last lines of one block; of fenced code, with its opening fence."""
    if text.count("\n") < lines and len(text) <= lines * LONG_LINE:
        return text
    opening, _, _ = text.partition("\n")
    kept = text[-lines * LONG_LINE :].split("\n")[-lines:]
    return "\n".join([opening, *kept] if _FENCE.match(opening) and opening not in kept else kept)


def warm_up() -> None:
    """Import and set up the libraries, which takes about 0.1 s, in a background thread."""
    render("`one` **two**\n\n```python\nthree\n```", 40)


@cache
def _console() -> "Console":
    import io

    from rich.console import Console
    from rich.theme import Theme

    return Console(
        file=io.StringIO(), force_terminal=True, legacy_windows=False, theme=Theme(_LOOKS), _environ={}, width=80
    )


@cache
def _parser(*, blocks_only: bool = False) -> "MarkdownIt":
    """Make a parser that hides no text: HTML and link definitions are shown."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
    parser.disable(["reference", "html_block"])
    if blocks_only:
        parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


def _blocks(tokens: "Sequence[Token]") -> "Iterator[list[Token]]":
    block: list[Token] = []
    for token in tokens:
        block.append(token)
        if token.level == 0 and token.nesting <= 0:
            yield block
            block = []


def _draw_block(block: "list[Token]", width: int) -> list[Line]:
    from rich.markdown import Markdown
    from rich.segment import Segment

    if block[0].type in {"fence", "code_block"}:
        return _draw_code(block[0])
    if block[0].type != "table_open":
        width = Prose.width(width)
    document = Markdown("", code_theme="ansi_dark", hyperlinks=False)
    document.parsed = block
    options = _console().options.update(width=width)
    return _trimmed(
        [(_style_string(piece.style), clean_line(piece.text)) for piece in row if not piece.control]
        for row in Segment.split_lines(_console().render(document, options))
    )


def _draw_code(token: "Token") -> list[Line]:
    """Draw code as it is, neither indented nor wrapped, so that copying copies the code."""
    from rich.syntax import Syntax

    language = token.info.split()[0] if token.info.strip() else "text"
    code = Syntax(token.content.rstrip("\n"), language, theme="ansi_dark")
    highlighted = code.highlight(code.code)
    highlighted.rstrip()
    return [
        _without_trailing_spaces(
            [(_style_string(piece.style), clean_line(piece.text)) for piece in line.render(_console()) if piece.text]
        )
        for line in highlighted.split("\n", allow_blank=False)
    ]


def _wrapped(line: Line, width: int) -> "Iterator[Line]":
    row: Line = []
    for style, text in line:
        start = 0
        while start < len(text):
            free = width - sum(cell_width(piece) for _, piece in row)
            if free < 2:  # noqa: PLR2004 - the cells of the widest characters
                yield row
                row = []
                continue
            part = hard_wrap(text[start:], free)[0]
            row.append((style, part))
            start += len(part)
    yield row


def _simplify(tokens: "Sequence[Token]", *, highlight: bool) -> "list[Token]":
    """Clean the decoded entities and escapes, and turn links and images into text."""
    for token in tokens:
        token.content = clean(token.content)
        if token.tag == "h1":
            token.tag = "h2"  # rich would center it
        if token.type == "fence" and not highlight:
            token.info = "text"
        if token.children:
            token.children = _simplify_inline(token.children)
    return list(tokens)


def _simplify_inline(children: "Sequence[Token]") -> "list[Token]":
    from markdown_it.token import Token

    simple: list[Token] = []
    addresses: list[str] = []

    def add(text: str) -> None:
        simple.append(Token("text", "", 0, content=clean_line(text if simple else text.lstrip())))

    for token in children:
        if token.type == "link_open":
            addresses.append("" if token.markup == "autolink" else str(token.attrs.get("href", "")))
        elif token.type == "link_close":
            address = addresses.pop()
            if address and not (simple and simple[-1].content == address):
                add(f" ({address})")
        elif token.type == "image":
            add(f"{token.content} ({token.attrs.get('src', '')})")
        else:
            token.content = clean_line(token.content)
            simple.append(token)
    return simple


@cache
def _style_string(style: "Style | None") -> str:
    if style is None:
        return ""
    words = [word for word in ("bold", "dim", "italic", "underline", "strike", "reverse") if getattr(style, word)]
    if style.color and not style.color.is_default:
        number = style.color.number
        if number is not None and number < len(_COLORS) + len(_BRIGHT):
            words.append(f"ansi{(*_COLORS, *_BRIGHT)[number]}")
        else:
            words.append(style.color.get_truecolor().hex)
    return " ".join(words)


def _trimmed(block: "Iterable[Line]") -> list[Line]:
    """Remove blank lines around the block, and trailing spaces, so that copying copies the text only."""
    lines = [_without_trailing_spaces(line) for line in block]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _without_trailing_spaces(line: Line) -> Line:
    while line:
        style, text = line.pop()
        if stripped := text.rstrip():
            return [*line, (style, stripped)]
    return []


_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)")
_BLANK = re.compile(r"^[ \t\r]*\n", re.MULTILINE)
_OPENING_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_LONG = 2000
_GROWTH = 1.25


class BlockStream:
    """Takes a text in pieces and returns its blocks; all returned blocks and `rest` together are the text.

    A block is finished when a later line begins another block, since nothing can change it then. A long block is
    parsed again only after it has grown by a quarter, so that the work stays proportional to the text.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0
        self._parse_at = 0.0

    @property
    def rest(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def feed(self, text: str) -> list[str]:
        """Add text, and return the blocks that it finishes."""
        self._pieces.append(text)
        self._size += len(text)
        if "\n" not in text or self._size < self._parse_at:
            return []
        blocks = _finished_blocks(self.rest)
        self._keep(self.rest[sum(map(len, blocks)) :])
        self._parse_at = 0.0 if blocks or self._size < _LONG else self._size * _GROWTH
        return blocks

    def finish(self) -> list[str]:
        """Return the rest as blocks, and begin a new text."""
        blocks = _finished_blocks(self.rest)
        last = self.rest[sum(map(len, blocks)) :]
        self._keep("")
        self._parse_at = 0.0
        return [*blocks, last] if last else blocks

    def _keep(self, rest: str) -> None:
        self._pieces, self._size = [rest], len(rest)


def _finished_blocks(text: str) -> list[str]:
    """Return all blocks of the complete lines but the last block, parsing as little as possible."""
    whole = text[: text.rfind("\n") + 1]
    blocks: list[str] = []
    begin = 0
    while True:
        window = whole[begin : whole.rfind("\n", begin, begin + MAX_BLOCK) + 1]
        found = _all_but_last(window)
        if not found and len(whole) - begin > MAX_BLOCK:
            found = _large_block(whole, begin, MAX_BLOCK)
        if not found:
            return blocks
        blocks += found
        begin += sum(map(len, found))


def _all_but_last(whole: str) -> list[str]:
    tokens = _parser(blocks_only=True).parse(whole)
    starts = [token.map[0] for token in tokens if token.level == 0 and token.map and token.nesting >= 0]
    if len(starts) < 2:  # noqa: PLR2004 - a single block is unfinished
        return []
    offsets = [0, *(line.end() for line in _LINES.finditer(whole))]
    cuts = [0, *(offsets[line] for line in starts[1:])]
    return [whole[begin:end] for begin, end in pairwise(cuts)]


def _large_block(whole: str, begin: int, size: int) -> list[str]:
    """Return the block of more than `size` characters from `begin`, if it has an end.

    It is not parsed, since it is shown as plain text: code ends with its fence, other text at the next blank line.
    """
    if fence := _OPENING_FENCE.match(whole, begin):
        closing = re.compile(rf"^ {{0,3}}{fence[1]}{fence[1][0]}*[ \t\r]*\n", re.MULTILINE)
        end = closing.search(whole, fence.end())
    else:
        end = _BLANK.search(whole, begin + size)
    return [whole[begin : end.end()]] if end else []
