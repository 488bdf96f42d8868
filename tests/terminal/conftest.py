"""The real program in real terminals, with a scripted model server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.openai_server import OpenAIServer
from tests.support.windows import Open, make_environment, windows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_environment(tmp_path)


@pytest.fixture
def open_(folder: Path, openai_server: OpenAIServer) -> Iterator[Open]:
    with windows(folder, openai_server) as opened:
        yield opened
