"""Exported files: their folder and their names."""

from pathlib import Path

import pytest

from prompt_objects.errors import UsageError
from prompt_objects.sessions.formats import export_to
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session

pytest_plugins = ["tests.support.store_fixtures"]


@pytest.mark.parametrize("po_name", ["../../elsewhere", "/tmp/x", "..", "a\n", "reader_2"])
@pytest.mark.parametrize("name", ["Notes", "../up", "漢" * 100, "..."])
def test_no_name_leads_out_of_the_folder_or_is_too_long(
    manager: SessionManager, tmp_path: Path, po_name: str, name: str
) -> None:
    session = SessionManager(manager.store, po_name).create(name)
    path = export_to(session, "markdown", None, tmp_path / "exports")
    assert [path] == list((tmp_path / "exports").iterdir())
    assert path.read_text().startswith(f"# {name}\n")


def test_the_file_name_has_the_names_of_object_and_session(session: Session, tmp_path: Path) -> None:
    assert export_to(session, "json", None, tmp_path).name.startswith("reader-Notes-20")


@pytest.mark.parametrize("name", ["there.md", "there\0"])
def test_the_error_names_a_file_that_cannot_be_created(session: Session, tmp_path: Path, name: str) -> None:
    (tmp_path / "there.md").write_text("kept")
    with pytest.raises(UsageError, match="there"):
        export_to(session, "markdown", tmp_path / name, tmp_path)
    assert (tmp_path / "there.md").read_text() == "kept"
