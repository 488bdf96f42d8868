"""Only settings that apply have a source."""

from pathlib import Path

import pytest

from prompt_objects.config.environment_schema import read_document
from prompt_objects.config.sources import find_sources


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("name: sci\nchannels: [defaults]\n", []),
        ("name: sci\nuser: ann\n", ["name", "user"]),
        ("user: ann\nlimits:\napproval: {}\n", ["user"]),
    ],
    ids=["of another program", "with a typing error", "empty"],
)
def test_settings_that_have_no_effect_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, names: list[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "environment.yaml").write_text(text)
    assert [each.name for each in find_sources(read_document(tmp_path / "environment.yaml"), {})] == names
