"""The scripts in docs/, which write parts of the documentation."""

import importlib.util
from typing import Any

from tests.support.paths import DOCS


def script(name: str) -> Any:
    """Load a script of docs/."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
