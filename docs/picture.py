"""Make docs/chat.svg: a picture of the program in a real pseudo-terminal.

    python docs/picture.py [--output docs/chat.svg]

The conversation is with the rehearsal, so the picture can be made offline and is always the same.
"""

import argparse
import re
import sys
import tempfile
import time
from html import unescape
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from rich.console import Console  # noqa: E402
from rich.style import Style  # noqa: E402
from rich.text import Text  # noqa: E402

from prompt_objects.environment.starter import make_environment  # noqa: E402
from tests.support.terminal import PROGRAM, Terminal  # noqa: E402

PATIENCE = 40.0  # seconds; a busy machine is slow


def screen_text(terminal: Terminal) -> Text:
    """Return the screen as rich text, with its colors."""
    text = Text()
    screen = terminal.screen
    for row in range(screen.lines):
        for column in range(screen.columns):
            cell = screen.buffer[row][column]
            style = Style(
                color=_color(cell.fg),
                bgcolor=_color(cell.bg),
                bold=cell.bold,
                italic=cell.italics,
                reverse=cell.reverse,
            )
            text.append(cell.data, style)
        text.append("\n")
    return text


def _color(name: str) -> str | None:
    if name == "default":
        return None
    renamed = {"brown": "yellow", "brightbrown": "bright_yellow"}.get(name, name.replace("bright", "bright_"))
    return f"#{name}" if re.fullmatch("[0-9a-f]{6}", name) else renamed


def converse(terminal: Terminal) -> None:
    """Type the conversation that the picture shows."""
    terminal.wait_for("no model is set up", PATIENCE)
    _type(terminal, "/session new A tour of this folder", "New session")
    _type(terminal, "Ask critic what is in objects/greeter.yaml", "4 messages")
    terminal.send("/ses")
    terminal.wait_for("/session delete", PATIENCE)
    time.sleep(0.3)


def _type(terminal: Terminal, text: str, until: str) -> None:
    terminal.send(text)
    terminal.wait_for(text, PATIENCE)
    terminal.press("enter")
    terminal.wait_for(until, PATIENCE)


def take_picture(columns: int = 104, rows: int = 50) -> str:
    """Return the picture as SVG."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "notes"
        make_environment(folder)
        settings = {"HOME": name, "XDG_DATA_HOME": name, "PROMPT_OBJECTS_MODEL": "", "OPENAI_API_KEY": ""}
        with Terminal(PROGRAM, columns=columns, rows=rows, env=settings, cwd=str(folder)) as terminal:
            converse(terminal)
            picture = screen_text(terminal)
    console = Console(record=True, width=columns, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(picture, end="")
    return console.export_svg(title="prompt-objects")


def words_of(svg: str) -> str:
    """Return the text of a picture, without its numbers."""
    text = unescape("".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg)))
    return re.sub(r"N ?m?s", "N s", re.sub(r"\d[\d.,]*", "N", " ".join(text.split())))


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "chat.svg")
    parser.parse_args().output.write_text(take_picture())


if __name__ == "__main__":
    main()
