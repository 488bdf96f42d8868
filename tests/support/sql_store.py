"""Databases, and what tests read from them directly."""

from collections.abc import Callable
from typing import Any

import pytest

databases = pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)


sqlite_only = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


Ask = Callable[..., list[Any]]
