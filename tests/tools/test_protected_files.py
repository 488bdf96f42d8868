"""Protected files are recognized in every argument that is a path, also in lists and unknown arguments."""

from pathlib import Path
from typing import Any

import pytest

from prompt_objects.runtime.context import Context
from prompt_objects.tools.base import Tool
from prompt_objects.tools.protected_files import writes_protected_file
from tests.support.tool_calls import context_of


async def _nothing(_: dict[str, Any], __: Context) -> str:
    return ""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"path": "notes/environment.yaml"}, True),
        ({"paths": ["notes/a.txt", "notes/environment.yaml"]}, True),
        ({"destination": "notes/objects/a.yaml"}, True),
        ({"path": "notes/a.txt", "paths": ["b.txt"], "content": "environment.yaml"}, False),
        ({"path": 1, "paths": [2]}, False),
    ],
)
def test_a_path_in_any_argument_counts(tmp_path: Path, arguments: dict[str, Any], *, expected: bool) -> None:
    tool = Tool("files_write", "", {"type": "object", "properties": {}}, _nothing, "write")
    assert writes_protected_file(tool, arguments, context_of(tmp_path)) is expected
