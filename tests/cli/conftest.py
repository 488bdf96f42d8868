"""An environment for the shell interface."""

from pathlib import Path

import pytest

from tests.support.environments import make_env


@pytest.fixture
def env_dir(tmp_path: Path) -> Path:
    return make_env(tmp_path / "home")
