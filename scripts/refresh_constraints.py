"""Pin the newest versions with which the test suite passes: rewrites constraints.txt.

    python3 scripts/refresh_constraints.py

Resolves all requirements of pyproject.toml, those of the build included, to their newest versions; checks that each
supported Python can install them; runs the README's test command with them in a fresh clone; and only then replaces
constraints.txt. If a new version breaks a test that cannot be fixed now, narrow the range in pyproject.toml.
"""

import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
EDITABLE = "editables"  # hatchling requires it to build an editable install
HEADER = "# Exact versions with which the test suite passed. Written by scripts/refresh_constraints.py.\n"


def run(*command: str | Path, stdin: str = "", folder: Path = ROOT) -> str:
    """Run a command and return its output; ends the program if the command fails."""
    done = subprocess.run(command, check=False, input=stdin, stdout=subprocess.PIPE, text=True, cwd=folder)
    if done.returncode:
        sys.exit(f"{done.stdout}\n{' '.join(map(str, command))} failed; constraints.txt is unchanged.")
    return done.stdout


def install_uv(folder: Path) -> Path:
    """Install uv, which resolves for other versions of Python than the one that runs."""
    venv.create(folder, with_pip=True)
    run(folder / "bin" / "pip", "install", "-q", "uv")
    return folder / "bin" / "uv"


def resolve(uv: Path) -> str:
    """Return the newest version of every requirement, one per line, with markers for systems and Pythons."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    build = "\n".join([*project["build-system"]["requires"], EDITABLE])
    options = ("--universal", "--python-version", PYTHONS[0], "--no-header", "--no-annotate", "--upgrade")
    return run(uv, "pip", "compile", "-q", "pyproject.toml", "-", "--all-extras", *options, stdin=build)


def check_installable(uv: Path, constraints: Path) -> None:
    """Check that each supported Python finds a wheel of every pinned version."""
    for python in PYTHONS:
        options = ("--all-extras", "--python-version", python, "--only-binary", ":all:", "-c", constraints)
        run(uv, "pip", "compile", "-q", "pyproject.toml", *options)


def run_suite(folder: Path, constraints: str) -> None:
    """Run the README's test command in a fresh clone with the new versions."""
    run("git", "clone", "-q", ROOT, folder)
    (folder / "constraints.txt").write_text(constraints, encoding="utf-8")
    [command] = [
        line
        for line in (folder / "README.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("python3 -m venv") and line.endswith("pytest")
    ]
    print(command, flush=True)
    print(run("bash", "-c", command, folder=folder))


def main() -> None:
    """Resolve, check, run the suite, and replace constraints.txt."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        uv = install_uv(folder / "uv")
        constraints = HEADER + resolve(uv)
        (folder / "constraints.txt").write_text(constraints, encoding="utf-8")
        check_installable(uv, folder / "constraints.txt")
        run_suite(folder / "clone", constraints)
        (ROOT / "constraints.txt").write_text(constraints, encoding="utf-8")
    print("constraints.txt is up to date.")


if __name__ == "__main__":
    main()
