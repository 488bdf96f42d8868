import os
import stat
from pathlib import Path

import pytest

from prompt_objects.ui.line.history import TypedHistory


def test_what_was_typed_is_there_in_the_next_run_and_for_nobody_else(tmp_path: Path) -> None:
    file = tmp_path / "data" / "history"
    TypedHistory(file).store_string("one\ntwo")
    assert list(TypedHistory(file).load_history_strings()) == ["one\ntwo"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "history")
    history = TypedHistory(tmp_path / "history")
    history.append_string("typed")
    assert list(history.load_history_strings()) == []
    assert history.get_strings() == ["typed"]


@pytest.mark.parametrize("make", ["mkdir", "damage"])
def test_a_file_that_cannot_be_used_stands_in_nobodys_way(tmp_path: Path, make: str) -> None:
    file = tmp_path / "history"
    if make == "mkdir":
        file.mkdir()
    else:
        file.write_bytes(b"\xff\xfe\x00garbage\n+line\xff\n")
    history = TypedHistory(file)
    history.append_string("typed")
    assert list(history.load_history_strings()) == ([] if make == "mkdir" else ["typed", "line\ufffd"])
    assert history.get_strings() == ["typed"]
