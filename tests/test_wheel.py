"""A built wheel works like the checkout: it has all files it needs."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


def test_starter_objects_and_migrations_travel_in_the_wheel(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for source in ROOT.glob("objects/*.yaml"):
        assert f"prompt_objects/_data/objects/{source.name}" in names
    steps = [source.name for source in ROOT.glob("migrations/*.py")]
    assert steps
    for name in ("README.md", *steps):
        assert f"prompt_objects/_data/migrations/{name}" in names
    assert not [name for name in names if name.endswith(".pyc")]
    assert "prompt_objects/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "docs/"))]


def test_an_installed_wheel_makes_an_environment_and_answers(wheel: Path, tmp_path: Path) -> None:
    """Installed away from the checkout; the dependencies are those of this environment."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install: list[str | Path] = [python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, capture_output=True, timeout=120)
    dependencies = next(path for path in sys.path if path.endswith("site-packages"))
    site = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    (site / "dependencies.pth").write_text(dependencies)
    program = tmp_path / "venv" / "bin" / "po"
    subprocess.run([program, "init", "home"], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    old = tmp_path / "home" / "objects" / "old.yaml"
    old.write_text("name: old\nhistory: [{role: user, content: hi}]\nprompt: You are old.\n")
    migrate: list[str | Path] = [program, "--env", "home", "migrate"]
    migrated = subprocess.run(migrate, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60)
    assert "1 message to 1 session" in migrated.stdout
    where: list[str | Path] = [python, "-c", "import prompt_objects; print(prompt_objects.__file__)"]
    assert str(site) in subprocess.run(where, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    send: list[str | Path] = [
        program,
        "--env",
        "home",
        "--model",
        "rehearsal",
        "-p",
        "ask reader: call list_files path=objects",
    ]
    answer = subprocess.run(send, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60)
    assert "coordinator.yaml" in answer.stdout
