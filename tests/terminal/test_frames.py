"""The screen after each drawing, even if it lasts only briefly."""

from collections.abc import Iterator

import pyte
import pytest

from tests.support.openai_server import OpenAIServer, text
from tests.support.windows import Open

pytestmark = pytest.mark.terminal

END_OF_PRINTING = b"\x1b[?2026l"


def frames(raw: bytes) -> Iterator[str]:
    """Yield the content of the screen each time that something was printed above the input line."""
    screen = pyte.Screen(80, 24)
    stream = pyte.ByteStream(screen)
    for drawing in raw.split(END_OF_PRINTING):
        stream.feed(drawing)
        yield "\n".join(line.rstrip() for line in screen.display)


def test_printed_text_is_no_longer_live(open_: Open, openai_server: OpenAIServer) -> None:
    words = " ".join(f"word{number}" for number in range(8))
    openai_server.script(text(f"{words} end.\n\nAnother paragraph.", delay=0.06))
    window = open_()
    window.send("Hello\r")
    window.wait_for("Another paragraph.")
    window.wait_for("2 messages")
    shown = list(frames(window.raw))
    assert any("word7 end." in frame for frame in shown)
    assert max(frame.count("word0") for frame in shown) == 1
