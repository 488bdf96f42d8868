"""constraints.txt: one exact version of every requirement, used by every documented installation."""

import re
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.paths import ROOT


def pinned() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {canonicalize_name(line.name): line for line in map(Requirement, lines[1:])}


def required() -> list[Requirement]:
    """Return the requirements of the package, its extras and its build, without the package itself."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = data["project"]["optional-dependencies"].values()
    lines = [
        *data["project"]["dependencies"],
        *data["build-system"]["requires"],
        *(line for extra in extras for line in extra),
    ]
    return [line for line in map(Requirement, lines) if line.name != "prompt-objects"]


def test_every_requirement_is_pinned_to_a_version_in_its_range() -> None:
    pins = pinned()
    for requirement in required():
        [pin] = pins[canonicalize_name(requirement.name)].specifier
        assert pin.operator == "=="
        assert requirement.specifier.contains(pin.version), requirement


def test_no_pin_names_a_place_to_download_from() -> None:
    assert "/" not in (ROOT / "constraints.txt").read_text().partition("\n")[2]
    assert all(pin.url is None for pin in pinned().values())


def test_every_documented_install_of_the_checkout_uses_the_pins() -> None:
    found = 0
    for name in ("README.md", "CONTRIBUTING.md", ".ci/run"):
        for line in (ROOT / name).read_text().splitlines():
            if re.search(r"pip install .*-e ", line):
                found += 1
                assert "PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt" in line
    assert found == 4


def test_only_known_files_stand_at_the_top() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    if not listed:
        pytest.skip("not a git checkout")
    assert {line.split("/")[0] for line in listed.splitlines()} == {
        *(".ci", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "constraints.txt"),
        *("pyproject.toml", "benchmarks", "docs", "migrations", "objects", "prompt_objects", "scripts", "tests"),
    }


def test_ci_runs_the_test_command_of_the_readme() -> None:
    [command] = [line for line in (ROOT / "README.md").read_text().splitlines() if line.endswith("/pytest")]
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()
