"""Disk errors, a full disk and kills at every disk operation lose no data."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.campaign.faults import preloaded
from tests.support.paths import ROOT, SUPPORT

pytest_plugins = ["tests.support.campaign.fixtures"]

SAMPLE = ("ENOSPC lasting half", "KILL half")
ALL = ("EIO", "ENOSPC", "ENOSPC lasting", "ENOSPC half", "EIO lasting", "EIO half", "EROFS", "EROFS lasting", "KILL")


@pytest.fixture(scope="module")
def below_python(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return preloaded(tmp_path_factory.mktemp("faults"))


def totals_of(script: str, folder: Path, *arguments: str, below: dict[str, str], before: tuple[str, ...] = ()) -> str:
    command = [*before, sys.executable, str(SUPPORT / "campaign" / script), str(folder), *arguments]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **below}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def make_scout(folder: Path) -> Path:
    (folder / "objects").mkdir()
    scout = "name: scout\ncapabilities: [list_files]\nprompt: You look.\n"
    (folder / "objects" / "scout.yaml").write_text(scout)
    return folder


def test_a_fault_at_any_place_in_a_turn_loses_nothing(memory_folder: Path, below_python: dict[str, str]) -> None:
    totals = totals_of("faulty_turns.py", make_scout(memory_folder), *SAMPLE, below=below_python)
    assert totals.count("nothing lost") == len(SAMPLE)


def test_a_fault_at_any_place_in_any_operation_loses_nothing(
    memory_folder: Path, below_python: dict[str, str]
) -> None:
    totals = totals_of("faulty_operations.py", memory_folder, *SAMPLE, below=below_python)
    assert totals.count("nothing lost") == len(SAMPLE)


def test_a_fault_at_any_write_of_concurrent_creations_loses_nothing(
    memory_folder: Path, below_python: dict[str, str]
) -> None:
    totals = totals_of("faulty_creations.py", memory_folder, *SAMPLE, *ALL, below=below_python)
    assert totals.count("nothing lost") == len((*SAMPLE, *ALL))


def test_faults_are_found_without_a_compiler_too(memory_folder: Path) -> None:
    assert "nothing lost" in totals_of("faulty_turns.py", make_scout(memory_folder), "EROFS lasting", below={})


@pytest.mark.campaign
@pytest.mark.parametrize("fault", ALL)
def test_every_other_fault_loses_nothing(
    memory_folder: Path, below_python: dict[str, str], fault: str, tell: Callable[[str], None]
) -> None:
    tell(totals_of("faulty_operations.py", memory_folder / "operations", fault, below=below_python))
    (memory_folder / "turns").mkdir()
    tell(totals_of("faulty_turns.py", make_scout(memory_folder / "turns"), fault, below=below_python))


SMALL = ("unshare", "--mount", "--map-root-user", "sh", "-c")  # a mount namespace that only the program sees
MOUNT = 'mount -t tmpfs -o size=600k tmpfs "$0" && exec "$@"'


def can_mount(folder: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run([*SMALL, MOUNT, str(folder), "true"], capture_output=True, check=False)
    return tried.returncode == 0


@pytest.mark.parametrize("times", [5, pytest.param(500, marks=pytest.mark.campaign)])
def test_a_disk_that_is_full_again_and_again_loses_nothing(
    tmp_path: Path, times: int, tell: Callable[[str], None]
) -> None:
    if not can_mount(tmp_path):
        pytest.skip("No small file system can be mounted here; full disks are acted out by faults all the same.")
    totals = totals_of("full_disk.py", tmp_path, "1", str(times), below={}, before=(*SMALL, MOUNT, str(tmp_path)))
    assert "nothing lost" in totals
    if times > 5:
        tell(totals)
