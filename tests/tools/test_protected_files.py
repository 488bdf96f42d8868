"""Protected files are recognized in every argument that may be a path, at any depth and under any name."""

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
        ({"to": "objects/a.yaml"}, True),
        ({"old": "notes/a.py", "new": "tools/a.py"}, True),
        ({"path": "tools/a\nb.py"}, True),
        ({"path": "x/" * 3000 + "tools/a.py"}, True),
        ({"outputDir": "tools"}, True),
        ({"edits": [{"path": "notes/environment.yaml", "new_text": "x"}]}, True),
        ({"files": [{"name": "a.txt"}, {"target": ".git/config"}]}, True),
        ({"uri": "file:///x/objects%2Fa.yaml"}, True),
        ({"edits": [{"path": "a.txt", "old_text": "environment.yaml", "newText": "tools"}]}, False),
        ({"message": "objects", "count": 3, "deep": [[{"content": "tools"}]]}, False),
    ],
)
def test_a_path_in_any_argument_counts(tmp_path: Path, arguments: dict[str, Any], *, expected: bool) -> None:
    tool = Tool("files_write", "", {"type": "object", "properties": {}}, _nothing, "write")
    assert writes_protected_file(tool, arguments, context_of(tmp_path)) is expected
