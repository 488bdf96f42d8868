"""Programs killed at any moment lose nothing that they acknowledged."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.store_urls import OUTSIDE, URLS

pytest_plugins = ["tests.support.store_fixtures", "tests.support.campaign.fixtures"]

KEPT = ROOT / ".campaign"  # an interrupted campaign is resumed from here
SAMPLE = {"files": 50, "sqlite": 20, "postgresql": 15}


def start(url: str, progress: Path, kills: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.support.campaign.killing", url, str(progress), str(kills)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def totals_of(run: "subprocess.Popen[str]") -> str:
    totals, errors = run.communicate()
    assert run.returncode == 0, errors
    return totals.strip()


def carry_on(urls: list[str], kills: int, tell: Callable[[str], None]) -> None:
    """Resume campaigns in parallel until each has `kills` kills; print the totals. The next call starts new ones."""
    KEPT.mkdir(exist_ok=True)
    files = [KEPT / f"{url.partition(':')[0]}-{number}.json" for number, url in enumerate(urls)]
    runs = [start(url, file, kills) for url, file in zip(urls, files, strict=True)]
    totals = [totals_of(run) for run in runs]
    for file, total in zip(files, totals, strict=True):
        tell(total)
        file.replace(file.with_suffix(".done"))


@pytest.mark.parametrize("kind", OUTSIDE)
def test_a_killed_program_loses_nothing_that_it_acknowledged(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    totals = totals_of(start(URLS[kind](request), tmp_path / "progress.json", SAMPLE[kind]))
    assert totals.startswith(kind)


@pytest.mark.campaign
def test_ten_thousand_kills_lose_nothing_on_files(tell: Callable[[str], None]) -> None:
    carry_on([f"files:{KEPT / 'files' / str(number)}" for number in range(2)], 5000, tell)


@pytest.mark.campaign
def test_two_thousand_kills_lose_nothing_in_sqlite(tell: Callable[[str], None]) -> None:
    carry_on([f"sqlite:///{KEPT / 'sqlite' / f'{number}.db'}" for number in range(2)], 1000, tell)


@pytest.mark.campaign
def test_a_thousand_kills_lose_nothing_in_postgresql(postgres_schema: str, tell: Callable[[str], None]) -> None:
    carry_on([postgres_schema], 1000, tell)
