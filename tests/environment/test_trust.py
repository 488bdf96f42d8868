"""The user's decisions about environments are stored outside them, and valid for exactly what was accepted."""

import os
from pathlib import Path

import pytest

from prompt_objects.environment.grants import Grant
from prompt_objects.environment.trust import EVERYTHING, Decision, Trust

GRANTS = [Grant("runs a", "1"), Grant("runs b", "2")]

pytestmark = pytest.mark.usefixtures("no_trusted_folders")


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return Trust(tmp_path / "state" / "trusted.json")


def test_accepted_grants_are_covered_and_others_are_not(trust: Trust, tmp_path: Path) -> None:
    assert not trust.decision(tmp_path).covers(GRANTS)
    assert trust.decision(tmp_path).covers([])
    trust.accept(tmp_path, GRANTS)
    decision = Trust(tmp_path / "state" / "trusted.json").decision(tmp_path)
    assert decision.covers(GRANTS)
    assert decision.covers(GRANTS[:1])
    assert not decision.covers([Grant("runs a", "changed")])
    assert not decision.covers([*GRANTS, Grant("runs c", "3")])
    assert not trust.decision(tmp_path / "other").covers(GRANTS)
    assert (tmp_path / "state" / "trusted.json").stat().st_mode & 0o777 == 0o600


def test_changes_since_the_decision_are_marked() -> None:
    decision = Decision(accepted=True, grants={"runs a": "0", "runs b": "2", "runs d": "4"})
    assert list(decision.changes([*GRANTS, Grant("runs c", "3")])) == [
        "runs a (changed)",
        "runs b",
        "runs c (new)",
        "runs d (removed)",
    ]


def test_a_refusal_is_remembered_and_ends_trust(trust: Trust, tmp_path: Path) -> None:
    trust.accept(tmp_path, GRANTS)
    trust.refuse(tmp_path, GRANTS)
    decision = trust.decision(tmp_path)
    assert not decision.covers(GRANTS)
    assert decision.is_about(GRANTS)
    assert not decision.is_about(GRANTS[:1])


def test_a_created_environment_is_trusted_until_that_is_revoked(trust: Trust, tmp_path: Path) -> None:
    trust.add_created(tmp_path)
    assert trust.decision(tmp_path) == EVERYTHING
    trust.refuse(tmp_path)
    assert not trust.decision(tmp_path).covers(GRANTS)


def test_a_link_leads_to_the_decision_about_its_target(trust: Trust, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    trust.accept(tmp_path / "link", GRANTS)
    assert trust.decision(tmp_path / "real").covers(GRANTS)


@pytest.mark.parametrize("content", ["[", "[]", '{"FOLDER": "abc"}', '{"FOLDER": {"accepted": 3}}', "\xff"])
def test_a_damaged_file_trusts_nothing(trust: Trust, tmp_path: Path, content: str) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "trusted.json").write_bytes(content.replace("FOLDER", str(tmp_path)).encode("latin-1"))
    assert not trust.decision(tmp_path).covers(GRANTS)
    trust.accept(tmp_path, GRANTS)
    assert trust.decision(tmp_path).covers(GRANTS)


def test_a_damaged_file_is_kept(trust: Trust, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "trusted.json").write_text('{"/home/ann/team": {"created": true}')
    trust.accept(tmp_path, GRANTS)
    trust.accept(tmp_path / "other", GRANTS)
    assert (tmp_path / "state" / "trusted.json.corrupt").read_text() == '{"/home/ann/team": {"created": true}'
    assert trust.decision(tmp_path).covers(GRANTS)


@pytest.mark.parametrize(
    ("variable", "is_trusted"),
    [
        ("{0}", True),
        ("{0}/..", True),
        ("/elsewhere:{0}:", True),
        ("{0}/below", False),
        (":", False),
        (".:x", False),
        ("{0}x", False),
    ],
)
def test_the_variable_trusts_its_folders_and_everything_below(
    trust: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, is_trusted: bool
) -> None:
    monkeypatch.setenv("PROMPT_OBJECTS_TRUST", variable.format(tmp_path).replace(":", os.pathsep))
    assert trust.decision(tmp_path).everything == is_trusted
    assert trust.decision(tmp_path / "below" / "deep").everything == (is_trusted or "below" in variable)


def test_the_personal_environment_is_trusted(trust: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert trust.decision(tmp_path / "prompt_objects") == EVERYTHING
    assert trust.decision(tmp_path / "prompt_objects" / "notes") != EVERYTHING
