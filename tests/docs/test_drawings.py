"""docs/architecture.md and the picture in the README are true of the code."""

import ast
import re

import pytest

from tests.support.doc_scripts import script
from tests.support.paths import DOCS, ROOT

PACKAGE = ROOT / "prompt_objects"
PAGE = (DOCS / "architecture.md").read_text(encoding="utf-8")
STEPS = re.findall(r"^\| .+ \| `([\w/]+\.py)` \| (?:`([\w.]+)`)? ?\|$", PAGE, re.MULTILINE)


def test_the_picture_shows_what_the_program_shows() -> None:
    picture = script("picture")
    shown = picture.words_of((DOCS / "chat.svg").read_text(encoding="utf-8"))
    assert picture.words_of(picture.take_picture()) == shown, "run: python docs/picture.py"


def test_the_drawing_of_the_layers_is_up_to_date() -> None:
    layers = script("layers")
    assert layers.with_drawing(PAGE) == PAGE, "run: python docs/layers.py"


def test_the_page_follows_a_message() -> None:
    assert len(STEPS) > 10


@pytest.mark.parametrize(("file", "name"), STEPS)
def test_a_step_of_a_message_exists(file: str, name: str) -> None:
    body = ast.parse((PACKAGE / file).read_text(encoding="utf-8")).body
    for part in filter(None, name.split(".")):
        found = next((node for node in body if getattr(node, "name", "") == part), None)
        assert found, f"{file} has no {name}"
        body = getattr(found, "body", [])


def test_files_that_the_page_names_exist() -> None:
    for name in re.findall(r"`((?:\w+/)+(?:\w+\.py)?)`", PAGE):
        if not name.startswith((".", "objects")):
            assert any((base / name).exists() for base in (PACKAGE, ROOT)), name
