"""docs/python-reference.md names what the classes have."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from prompt_objects import Environment, PromptObject, Session, SessionManager, errors
from prompt_objects.environment.starter import make_environment
from prompt_objects.runtime import events
from tests.support.paths import DOCS

PAGE = (DOCS / "python-reference.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def cells(section: str) -> list[str]:
    """Return the first cell of each row of the tables in a section."""
    return re.findall(r"^\| (`.*?) \|", SECTIONS[section], re.MULTILINE)


def methods(section: str) -> list[tuple[str, list[str]]]:
    """Return the methods in a section, each with its parameters."""
    found = re.findall(r"`(\w+)\((.*?)\)`", " ".join(cells(section)))
    return [(name, re.findall(r"(\w+)(?==|,|$)", parameters)) for name, parameters in found]


@pytest.mark.parametrize(("section", "classes"), [("Turns", [PromptObject]), ("Sessions", [SessionManager, Session])])
def test_a_method_exists_with_its_parameters(section: str, classes: list[type[Any]]) -> None:
    assert len(methods(section)) > 4
    for name, parameters in methods(section):
        [method] = [getattr(each, name) for each in classes if hasattr(each, name)]
        known = inspect.signature(method).parameters
        named = [word for word in parameters if not word.isdigit() and word not in {"None", "True", "False"}]
        assert set(named) <= set(known), name


def test_the_members_of_an_environment_exist(tmp_path: Path) -> None:
    make_environment(tmp_path / "notes")
    with Environment.open(tmp_path / "notes") as environment:
        names = [name for cell in cells("Environment") for name in re.findall(r"`(\w+)`", cell)]
        arguments = inspect.signature(Environment.open).parameters
        assert len(names) > 10
        assert [name for name in names if not hasattr(environment, name) and name not in arguments] == []


def test_every_error_and_every_event_is_named() -> None:
    public = {name for name, each in vars(errors).items() if inspect.isclass(each)} - {"Sequence", "Path", "Any"}
    assert {name for name in public if f"`{name}`" not in SECTIONS["Errors"]} == {"FileError", "SessionError"}
    kinds = {each.__name__ for each in events.Event.__subclasses__() if each.__module__ == events.__name__}
    assert kinds == {cell.strip("`") for cell in cells("Events")}
