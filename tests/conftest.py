"""Fixtures for all tests, and isolation from the developer's own settings."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import hypothesis
import pytest

from prompt_objects.llm.providers import PROVIDERS
from tests.support.openai_server import OpenAIServer

# A machine may be busy: a slow example is no failure.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

_KEYS = tuple(name for provider in PROVIDERS.values() for name in provider.key_names)
_PERSONAL = ("OPENAI_", "PROMPT_OBJECTS_", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", *_KEYS)

_MEMORY = "/dev/shm"  # in memory, so that thousands of syncs need not wait for a shared disk
with suppress(OSError):
    if shutil.disk_usage(_MEMORY).free > 4 * 2**30 and os.access(_MEMORY, os.W_OK):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", _MEMORY)

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # in a job in the background; what is started here would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run the whole suite in two processes more than there are cores, because tests often wait."""
    is_whole = config.args == config.getini("testpaths") and config.option.markexpr == "not campaign"
    return (os.cpu_count() or 1) + 2 if is_whole else 0


@pytest.fixture(scope="session", autouse=True)
def nothing_personal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hide the developer's keys, folders and local model servers."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(_PERSONAL) or name.upper().endswith("_PROXY"):
                patch.delenv(name)
        patch.setenv("HOME", str(home))
        for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
            patch.setenv(name, str(home / name.lower()))
        patch.setenv("PROMPT_OBJECTS_TRUST", str(tmp_path_factory.getbasetemp()))
        patch.setattr("prompt_objects.llm.local_servers.DEFAULT_PORTS", {})
        yield


@pytest.fixture
def no_trusted_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Trust no folder, and start without decisions of the user."""
    monkeypatch.delenv("PROMPT_OBJECTS_TRUST")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def openai_server() -> Iterator[OpenAIServer]:
    """Offer a real server on the loopback; a test scripts its answers."""
    with OpenAIServer() as server:
        yield server
