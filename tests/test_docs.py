"""The documentation agrees with the program."""

import re
from pathlib import Path

import pytest

from tests.support.doc_scripts import script
from tests.support.paths import ROOT

PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("migrations/*.md"),
    *ROOT.glob("benchmarks/**/*.md"),
]


def test_the_command_reference_is_what_the_program_declares() -> None:
    assert (ROOT / "docs" / "commands.md").read_text() == script("commands").reference(), (
        "run: python docs/commands.py"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_of_this_repository_that_a_page_names_exist(page: Path) -> None:
    for name in re.findall(r"(?<![.\w])(?:tests|prompt_objects|benchmarks|scripts)/[\w/]+\.\w+", page.read_text()):
        assert (ROOT / name).exists(), name


def test_prose_is_wrapped() -> None:
    pages = [page for page in PAGES if page.parent.name != "results"]  # these are written by programs
    lines = [line for page in pages for line in without_code(page).splitlines()]
    assert not [line for line in lines if len(line) > 132 and not line.startswith("|")]


def without_code(page: Path) -> str:
    return re.sub(r"^ *(`{3,}).*?^ *\1$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def headings(page: Path) -> set[str]:
    """Return the anchors of a page, as websites make them from its headings."""
    found = re.findall(r"^#+ (.*)$", without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_headings(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert anchor in headings(page.parent / target if target else page), f"{target}#{anchor}"


def test_the_architecture_page_lists_every_folder_and_module() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    package = ROOT / "prompt_objects"
    names = {path.name for path in package.iterdir() if path.suffix == ".py" and path.stem[0] != "_"}
    names |= {f"{path.name}/" for path in package.iterdir() if path.is_dir() and path.name[0] != "_"}
    missing = {name for name in names if f"`{name}`" not in page}
    assert not missing
