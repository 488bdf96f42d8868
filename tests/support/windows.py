"""Terminals with the program in one environment, with a test server as its model."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

from tests.support.openai_server import OpenAIServer
from tests.support.terminal import PROGRAM, Terminal

MARK = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"
PROMPT = f"guide {MARK}"
OBJECTS = {
    "guide": "name: guide\ndescription: Knows the way\nprompt: You guide.\ncapabilities: [reader, read_file]\n",
    "reader": "name: reader\ndescription: Reads\nprompt: You read.\ncapabilities: [read_file]\n",
}

Open: TypeAlias = Callable[..., Terminal]


def make_environment(folder: Path) -> Path:
    """Write an environment with a guide and a reader into a folder."""
    (folder / "objects").mkdir()
    for name, definition in OBJECTS.items():
        (folder / "objects" / f"{name}.yaml").write_text(definition)
    (folder / "README.md").write_text("# Read me\n")
    return folder


@contextmanager
def windows(folder: Path, server: OpenAIServer) -> Iterator[Open]:
    """Provide a function that opens the program in a new terminal until the end of the block."""
    with ExitStack() as stack:

        def opened(*, env: dict[str, str] | None = None, columns: int = 80, rows: int = 24) -> Terminal:
            served = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "k", **(env or {})}
            command = [*PROGRAM, "--env", str(folder), "--object", "guide", "--model", "small"]
            terminal = stack.enter_context(Terminal(command, env=served, columns=columns, rows=rows))
            terminal.wait_for(PROMPT)
            return terminal

        yield opened
