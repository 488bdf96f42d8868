"""Paths in the repository."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SUPPORT = ROOT / "tests" / "support"


def worker_path(name: str) -> str:
    """Return the path of a program that tests run in a separate process."""
    return str(SUPPORT / "workers" / f"{name}_worker.py")
