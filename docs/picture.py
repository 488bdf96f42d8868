"""Makes docs/chat.svg: the program itself, in a real pseudo-terminal, as a picture.

    python docs/picture.py [--size 92x30] [--output docs/chat.svg]

The conversation is with the rehearsal, so it can be made anywhere, and is the same everywhere.
"""

import argparse
import re
import sys
import tempfile
import time
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "terminal"))

from rich.console import Console  # noqa: E402
from rich.style import Style  # noqa: E402
from rich.text import Text  # noqa: E402
from terminal import PROGRAM, Terminal  # noqa: E402


def drawn(terminal: Terminal) -> Text:
    """Return the screen as rich text, with its colours."""
    text = Text()
    screen = terminal.screen
    for row in range(screen.lines):
        for column in range(screen.columns):
            cell = screen.buffer[row][column]
            style = Style(
                color=_colour(cell.fg),
                bgcolor=_colour(cell.bg),
                bold=cell.bold,
                italic=cell.italics,
                reverse=cell.reverse,
            )
            text.append(cell.data, style)
        text.append("\n")
    return text


def _colour(name: str) -> str | None:
    if name == "default":
        return None
    renamed = {"brown": "yellow", "brightbrown": "bright_yellow"}.get(name, name.replace("bright", "bright_"))
    return f"#{name}" if re.fullmatch("[0-9a-f]{6}", name) else renamed


def converse(terminal: Terminal) -> None:
    """Have the conversation that the picture shows."""
    terminal.wait_for("no model is set up")
    terminal.send("/session new A tour of this folder")
    terminal.press("enter")
    terminal.wait_for("New session")
    terminal.send("ask reader: call list_files path=objects")
    terminal.press("enter")
    terminal.wait_for("4 messages")
    terminal.send("/ses")
    terminal.wait_for("/session switch")
    time.sleep(0.3)


def main() -> None:
    """Make the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="92x44")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "chat.svg")
    options = parser.parse_args()
    columns, rows = (int(part) for part in options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        command = PROGRAM
        home = {"HOME": folder, "XDG_DATA_HOME": folder}
        with Terminal(command, columns=columns, rows=rows, env=home, cwd=folder) as terminal:
            converse(terminal)
            picture = drawn(terminal)
    console = Console(record=True, width=columns, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(picture, end="")
    options.output.write_text(console.export_svg(title="prompt-objects"))


if __name__ == "__main__":
    main()
