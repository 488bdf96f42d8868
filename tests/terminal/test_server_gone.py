"""A window whose database is lost reports it, keeps the typed text, and can be left immediately."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.openai_server import OpenAIServer
from tests.support.postgres import Server
from tests.support.terminal import Terminal
from tests.support.windows import PROMPT, make_environment, windows

pytestmark = pytest.mark.terminal

GONE = "the database cannot be reached"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.remove()


def seconds_to_leave(window: Terminal, *keys: str) -> float:
    """Leave the chat and return the seconds that took."""
    start = time.monotonic()
    window.send("".join(keys))
    assert window.wait_for_exit() == 0
    return time.monotonic() - start


def test_the_status_bar_shows_a_lost_server_and_nothing_blocks(
    tmp_path: Path, openai_server: OpenAIServer, server: Server
) -> None:
    folder = make_environment(tmp_path)
    (folder / "environment.yaml").write_text(f"store: {server.url}\n")
    with windows(folder, openai_server) as open_:
        ann, ben = open_(), open_()
        ben.send("half a mess")
        server.stop()
        for window in (ann, ben):
            window.wait_for(f"Default · {GONE} ·")
        ben.send("age")
        ben.wait_for(f"{PROMPT} half a message")
        server.start()
        ann.wait_gone(GONE)
        ben.wait_gone(GONE)
        server.stop()
        ann.wait_for(f"Default · {GONE} ·")
        assert seconds_to_leave(ann, "/quit\r") < 4
        assert seconds_to_leave(ben, "\x03", "\x04") < 4
        assert "✗" not in ann.text() + ben.text()
    assert "half a message" in (folder / ".prompt_objects" / "history").read_text()
