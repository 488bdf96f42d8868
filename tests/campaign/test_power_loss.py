"""A power failure at any moment loses nothing that was acknowledged before."""

import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.file.store import FileStore
from tests.support.campaign.inspection import check_files
from tests.support.campaign.simulated_disk import ActedDisk, Created, Renamed, Synced, SyncedFolder, Written
from tests.support.paths import ROOT

pytest_plugins = ["tests.support.campaign.fixtures"]


def totals_of(folder: Path, seed: int, operations: int, states: int) -> str:
    command = [
        sys.executable,
        "-m",
        "tests.support.campaign.power_loss",
        str(folder),
        str(seed),
        str(operations),
        str(states),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_acknowledged_messages_survive_a_power_loss(memory_folder: Path) -> None:
    assert "nothing lost" in totals_of(memory_folder, 1, 25, 2)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(2, 12))
def test_acknowledged_messages_survive_every_power_loss(
    memory_folder: Path, seed: int, tell: Callable[[str], None]
) -> None:
    tell(totals_of(memory_folder, seed, 80, 12))


def test_the_simulated_disk_keeps_synced_data_and_may_lose_the_rest() -> None:
    """A disk that never loses data would make the power loss tests meaningless."""
    disk = ActedDisk()
    for event in (Created("/a/new", 1), Written(1, 0, b"kept"), Synced(1), Renamed("/a/new", "/a/name")):
        disk.ask(event)
    states = [disk.after_power_loss(random.Random(seed)) for seed in range(40)]
    assert {tuple(state) for state in states} == {(), ("/a/new",), ("/a/name",)}
    disk.ask(SyncedFolder("/a"))
    disk.ask(Written(1, 4, b" lost"))
    states = [disk.after_power_loss(random.Random(seed)) for seed in range(40)]
    assert {state["/a/name"] for state in states} >= {b"kept", b"kept lost", b"kept\0\0\0\0\0"}
    assert all(state["/a/name"].startswith(b"kept") for state in states)


@pytest.mark.parametrize(
    "index",
    [
        lambda old, _: old,
        lambda _, new: new,
        lambda _, new: b"\0" * len(new),
        lambda *_: b"",
        lambda old, _: old[:50],
    ],
    ids=["older", "newer", "zeros", "empty", "cut off"],
)
def test_an_index_of_any_age_after_a_power_failure_is_put_right(
    tmp_path: Path, index: Callable[[bytes, bytes], bytes]
) -> None:
    with closing(FileStore(tmp_path)) as store:
        manager = SessionManager(store, "reader")
        first = manager.create("First")
        old = (tmp_path / "sessions" / "index.json").read_bytes()
        second = manager.create("Second")
        first.append({"role": "user", "content": "one"})
        manager.rename(first.id, "Renamed")
    path = tmp_path / "sessions" / "index.json"
    new = path.read_bytes()
    path.write_bytes(index(old, new))
    note = path.with_name("index.json.lock")
    note.write_bytes(note.read_bytes().replace(b'"boot":"', b'"boot":"another '))  # after a reboot
    with closing(FileStore(tmp_path)) as store:
        assert {info.id for info in store.list()} == {first.id, second.id}
        assert store.load(first.id).info.name == "Renamed"
        store.check(repair=True)
        assert store.check() == []
    check_files(tmp_path)
