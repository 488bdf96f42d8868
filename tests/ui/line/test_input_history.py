import os
import stat
from pathlib import Path

import pytest

from prompt_objects.ui.line.input_line import InputHistory


def test_typed_lines_are_kept_for_the_next_run_and_are_private(tmp_path: Path) -> None:
    file = tmp_path / "data" / "history"
    InputHistory(file).store_string("one\ntwo")
    assert list(InputHistory(file).load_history_strings()) == ["one\ntwo"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_instead_of_the_file_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "history")
    history = InputHistory(tmp_path / "history")
    history.append_string("typed")
    assert list(history.load_history_strings()) == []
    assert history.get_strings() == ["typed"]


@pytest.mark.parametrize("make", ["mkdir", "damage"])
def test_an_unusable_file_does_not_disturb(tmp_path: Path, make: str) -> None:
    file = tmp_path / "history"
    if make == "mkdir":
        file.mkdir()
    else:
        file.write_bytes(b"\xff\xfe\x00garbage\n+line\xff\n")
    history = InputHistory(file)
    history.append_string("typed")
    assert list(history.load_history_strings()) == ([] if make == "mkdir" else ["typed", "line\ufffd"])
    assert history.get_strings() == ["typed"]
