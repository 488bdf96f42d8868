"""Step 0001 moves the histories of prompt objects into sessions and changes no other byte."""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from prompt_objects.environment.environment import Environment
from prompt_objects.migrations.progress import ChangeSummary
from prompt_objects.migrations.runner import Migrations
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.registry import open_store

FIXTURES = Path(__file__).parent / "0001"
WRITTEN = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


def migrate(folder: Path) -> list[ChangeSummary]:
    """Migrate an environment whose files were all written at the same moment; return the result."""
    for file in (folder / "objects").iterdir():
        os.utime(file, (WRITTEN.timestamp(),) * 2)
    store = open_store(f"files:{folder}/.prompt_objects")
    try:
        return [
            row
            for taken in Migrations(folder, folder / ".prompt_objects").run(SessionManager(store))
            for row in taken.changes
        ]
    finally:
        store.close()


def sessions_of(folder: Path) -> dict[str, dict[str, list[Any]]]:
    found: dict[str, dict[str, list[Any]]] = {}
    manager = SessionManager(open_store(f"files:{folder}/.prompt_objects"))
    for info in manager.list():
        found.setdefault(info.po_name, {})[info.name] = list(manager.get(info.id).history)
    manager.store.close()
    return found


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def skipped_in(folder: Path) -> list[dict[str, str]]:
    return [
        piece
        for file in (folder / ".prompt_objects" / "backups").glob("*/set-aside.json")
        for piece in json.loads(file.read_bytes())
    ]


def migrate_file(tmp_path: Path, text: bytes, name: str = "x.yaml") -> tuple[bytes, list[ChangeSummary]]:
    """Migrate an environment with one file; return the new content of the file and the result."""
    (tmp_path / "objects").mkdir(exist_ok=True)
    (tmp_path / "objects" / name).write_bytes(text)
    rows = migrate(tmp_path)
    return (tmp_path / "objects" / name).read_bytes(), rows


@pytest.mark.parametrize("case", sorted(path.name for path in FIXTURES.iterdir()))
def test_a_fixture_is_migrated_as_expected(case: str, tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / case / "before", tmp_path, dirs_exist_ok=True)
    before = files_of(tmp_path / "objects")
    expected = json.loads((FIXTURES / case / "expected.json").read_text(encoding="utf-8"))
    rows = migrate(tmp_path)
    after = files_of(tmp_path / "objects")
    assert after == files_of(FIXTURES / case / "after" / "objects")
    assert sessions_of(tmp_path) == expected["sessions"]
    assert [[piece["file"], piece["object"], piece["text"]] for piece in skipped_in(tmp_path)] == expected["aside"]
    problems = [(row.file, row.problem) for row in rows if row.problem]
    assert [file for file, _ in problems] == [file for file, _ in expected["problems"]]
    for (_, problem), (_, words) in zip(problems, expected["problems"], strict=True):
        assert problem.startswith(words)
    assert sum(row.skipped for row in rows) == len(expected["aside"])
    copies = next(iter((tmp_path / ".prompt_objects" / "backups").glob("*/files/objects")), None)
    changed = {name: data for name, data in before.items() if after.get(name) != data}
    assert (files_of(copies) if copies else {}) == changed


def test_a_migrated_environment_opens_with_the_conversation_in_its_session(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "commented" / "before", tmp_path, dirs_exist_ok=True)
    with Environment.open(tmp_path, environ={}) as environment:
        (info,) = environment["reader"].session_manager.list()
        assert (info.name, info.message_count) == ("Migrated", 4)
        assert environment["reader"].definition.description == "Reads files and says what is in them"
        assert environment["reader"].session_manager.current().name == "Migrated"


def test_a_session_has_the_times_of_its_first_and_last_message(tmp_path: Path) -> None:
    migrate_file(
        tmp_path,
        b"name: x\nhistory:\n- {role: user, content: b, date: 2020-02-03}\n"
        b"- {role: user, content: a, timestamp: '2019-05-06T01:00:00+01:00'}\nprompt: p\n",
    )
    manager = SessionManager(open_store(f"files:{tmp_path}/.prompt_objects"))
    (info,) = manager.list()
    assert info.created_at == datetime(2019, 5, 6, tzinfo=UTC)
    assert info.updated_at == datetime(2020, 2, 3, tzinfo=UTC)
    manager.store.close()


@pytest.mark.parametrize(
    ("date", "at"),
    [
        (b"1577934245", "2020-01-02T03:04:05.000000Z"),
        (b"1577934245.25", "2020-01-02T03:04:05.250000Z"),
        (b"1577934245000", "2020-01-02T03:04:05.000000Z"),
        (b"'1577934245'", "2020-01-02T03:04:05.000000Z"),
        (b"'1577934245678'", "2020-01-02T03:04:05.678000Z"),
    ],
)
@pytest.mark.parametrize("key", [b"at", b"timestamp", b"time"])
def test_unix_time_is_a_date(key: bytes, date: bytes, at: str, tmp_path: Path) -> None:
    _, (row,) = migrate_file(tmp_path, b"name: x\nhistory:\n- {role: user, %s: %s}\nprompt: p\n" % (key, date))
    assert row.skipped == 0
    (message,) = sessions_of(tmp_path)["x"]["Migrated"]
    assert message["at"] == at


@pytest.mark.parametrize("value", [b"yesterday", b"0.53", b"true", b"[2020]", b"12", b"1.0e+300", b"9" * 400])
@pytest.mark.parametrize("key", [b"at", b"date"])
def test_an_invalid_date_is_skipped(key: bytes, value: bytes, tmp_path: Path) -> None:
    migrate_file(tmp_path, b"name: x\nhistory:\n- {role: user, %s: %s, time: 1577934245}\nprompt: p\n" % (key, value))
    (message,) = sessions_of(tmp_path)["x"]["Migrated"]
    assert message["at"] == "2020-01-02T03:04:05.000000Z"
    (piece,) = skipped_in(tmp_path)
    assert (piece["place"], piece["reason"]) == (f"entry 1, {key.decode()}", "It is not a valid date.")
    assert json.loads(piece["text"]) == yaml.safe_load(value)
    assert "date" not in message or message["date"] == yaml.safe_load(value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"\xef\xbb\xbfhistory: []\nname: x\n", b"\xef\xbb\xbfname: x\n"),
        (
            b"name: \xc3\xa9\r\nhistory:\r\n- {role: user}\r\n\r\n# c\r\nprompt: p",
            b"name: \xc3\xa9\r\n\r\n# c\r\nprompt: p",
        ),
        (b"name: x\nprompt: p\nhistory: [{role: user}]", b"name: x\nprompt: p\n"),
        (b"name: x\n'history':\n- role: user # why\n\n\n# end", b"name: x\n\n\n# end"),
        (b"? history\n: - role: user\nname: x\n", b"name: x\n"),
        (b"prompt: |\n  p\nhistory:\n  - role: user\n  # inner\nname: x\n", b"prompt: |\n  p\nname: x\n"),
        (b"prompt: |+\n  p\n\nhistory: []\n\n\nname: x\n", b"prompt: |+\n  p\n\nname: x\n"),
        (b"--- # doc\n  history: !!seq [{role: user}] # c\n  name: x\n...\n", b"--- # doc\n  name: x\n...\n"),
        (b"name: x\nhistory: &h\n- &m {role: user}\n- *m\nprompt: &h p\nb: *h\n", None),
        (b"name: &n x\nhistory: [{role: *n}]\nb: *n\n", b"name: &n x\nb: *n\n"),
        (b"{name: x,\n history: [{role: user}],  # c\n prompt: p}\n", b"{name: x,\n # c\n prompt: p}\n"),
        (b"{history: [], name: x,}", b"{name: x,}"),
        (b"{name: x # a, b\n, history: []}", b"{name: x # a, b\n}"),
    ],
)
def test_every_other_byte_is_unchanged(before: bytes, after: bytes | None, tmp_path: Path) -> None:
    found, rows = migrate_file(tmp_path, before)
    assert found == (before if after is None else after)
    assert bool(rows[0].problem) == (after is None)


def test_files_without_a_history_are_not_parsed(tmp_path: Path) -> None:
    text = b"prompt: 'a history of: things'\nname: [unclosed"
    assert migrate_file(tmp_path, text) == (text, [])


def test_permissions_are_kept(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    file = tmp_path / "objects" / "x.yaml"
    file.write_bytes(b"name: x\nhistory: []\nprompt: p\n")
    file.chmod(0o640)
    migrate(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o640
    for path in (tmp_path / ".prompt_objects" / "backups").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0


def test_a_link_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    (tmp_path / "there.yaml").write_bytes(b"name: x\nhistory: []\nprompt: p\n")
    (tmp_path / "objects" / "x.yaml").symlink_to(tmp_path / "there.yaml")
    (tmp_path / "objects" / "y.yaml").symlink_to(FIXTURES / "json" / "after" / "objects" / "ann.yaml")
    (row,) = migrate(tmp_path)
    assert (row.file, row.problem) == ("objects/x.yaml", "It cannot be read: it is a link or not a regular file.")
    assert (tmp_path / "objects" / "x.yaml").is_symlink()


def test_files_in_a_linked_folder_are_not_changed(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs" / "objects" / "x.yaml"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"name: x\nhistory: []\nprompt: p\n")
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone" / "objects").symlink_to(theirs.parent)
    (row,) = migrate(tmp_path / "clone")
    assert row.problem == "It cannot be read: the folder objects is a link."
    assert b"history" in theirs.read_bytes()


def test_anything_but_a_regular_file_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "objects" / "folder.yaml").mkdir(parents=True)
    os.mkfifo(tmp_path / "objects" / "pipe.yaml")  # reading it would block
    assert migrate(tmp_path) == []


def test_an_alias_bomb_is_skipped_quickly(tmp_path: Path) -> None:
    levels = "".join(f"- &a{n} {{role: user, x: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 30))
    found, (row,) = migrate_file(tmp_path, f"name: x\nhistory:\n- &a0 {{role: user}}\n{levels}prompt: p\n".encode())
    assert found == b"name: x\nprompt: p\n"
    assert (row.messages + row.skipped, row.messages >= 4) == (30, True)


def test_fifty_thousand_messages_take_seconds(tmp_path: Path) -> None:
    """Far more than the definition parser accepts; the time limit is generous for slow machines."""
    history = [
        {"role": ("user", "assistant")[n % 2], "content": f"message {n}: é\n" + "word " * 9} for n in range(50_000)
    ]
    entries = b"".join(b"- " + json.dumps(entry).encode() + b"\n" for entry in history)
    started_at = datetime.now(UTC)
    found, (row,) = migrate_file(tmp_path, b"name: x\nhistory:\n" + entries + b"prompt: p\n")
    assert (datetime.now(UTC) - started_at).total_seconds() < 60
    assert (found, row.messages, row.skipped) == (b"name: x\nprompt: p\n", 50_000, 0)
    assert [message["content"] for message in sessions_of(tmp_path)["x"]["Migrated"]] == [
        entry["content"] for entry in history
    ]


texts = st.text(st.characters(codec="utf-8"), max_size=20)
surrogates = st.text(max_size=3)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
messages = st.builds(
    lambda extra, role, content: {**extra, "role": role, "content": content},
    st.dictionaries(
        texts.filter(lambda key: key not in {"at", "timestamp", "created_at", "date", "time"}), values, max_size=3
    ),
    st.sampled_from(["user", "assistant", "tool"]) | texts,
    values | surrogates,
)
entries = messages | values  # invalid messages are skipped


def is_message(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("role"), str)


class Dumper(yaml.SafeDumper):
    """Writes no aliases, because the list of a history has no repeated objects."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def as_yaml(history: list[Any], style: str) -> str:
    if style == "json":
        return f"history: {json.dumps(history)}\n"
    if style == "flow":
        return f"history: {yaml.dump(history, Dumper=Dumper, default_flow_style=True, width=60)}"
    return yaml.dump({"history": history}, Dumper=Dumper, allow_unicode=style == "wide", width=60)


rests = st.sampled_from(
    [
        ("name: x\n", "prompt: |\n  p\n"),
        ("# top\n\nname: x\nprompt: |+\n  p\n\n\n", ""),
        ("", "# after\nname: x\nprompt: p"),
        ("name: 'x'\nprompt: >-\n  p\n  q\n", "# after\n\ndescription: 'd'\n"),
        ("name: x # é\ncapabilities:\n- read_file\n", "\n\nprompt: p\n"),
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(entries, max_size=6), rests, st.sampled_from(["json", "wide", "narrow", "flow"]), st.booleans())
def test_any_history_survives(
    tmp_path_factory: pytest.TempPathFactory, history: list[Any], rest: tuple[str, str], style: str, crlf: bool
) -> None:
    folder = tmp_path_factory.mktemp("any")
    before, after = (part.replace("\n", "\r\n") if crlf else part for part in rest)
    text = as_yaml(history, style)
    assume(style == "json" or yaml.safe_load(text)["history"] == history)  # YAML changes some line breaks
    found, (row,) = migrate_file(folder, before.encode() + text.encode() + after.encode())
    assert found == before.encode() + after.encode()
    valid = [entry for entry in history if is_message(entry)]
    sessions = sessions_of(folder)
    kept = sessions["x"]["Migrated"] if sessions else []
    assert [{key: value for key, value in message.items() if key != "at"} for message in kept] == valid
    assert row.skipped == len(history) - len(valid) == len(skipped_in(folder))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["a", "b", "history"]), st.lists(entries, max_size=5), min_size=1), st.data())
def test_a_truncated_shared_file_loses_at_most_its_last_entry(
    tmp_path_factory: pytest.TempPathFactory, histories: dict[str, list[Any]], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    (folder / "objects").mkdir()
    for name in ("a", "b", "history"):
        (folder / "objects" / f"{name}.yaml").write_bytes(f"name: {name}\nprompt: p\n".encode())
    text = json.dumps(histories)
    cut = data.draw(st.integers(1, len(text)))
    (folder / "objects" / "history.json").write_text(text[:cut])
    migrate(folder)
    found = sessions_of(folder)
    for name, history in histories.items():
        end = text.index(json.dumps(name) + ": [") + len(json.dumps(name)) + 3
        expected = []
        for entry in history:
            end += len(json.dumps(entry)) + 2
            if end - 2 <= cut and is_message(entry):
                expected.append(entry)
        kept = found.get(name, {}).get("Migrated", [])
        assert [{key: value for key, value in message.items() if key != "at"} for message in kept] == expected
