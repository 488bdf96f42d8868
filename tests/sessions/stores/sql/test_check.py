"""A check of a database finds all damage, and a repair loses no message."""

import pytest
from sqlalchemy import text

from prompt_objects.errors import Damaged
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.sql.store import SqlStore
from tests.support.sessions import new_info, user_messages
from tests.support.sql_store import Ask, databases
from tests.support.store_urls import FullStore

pytest_plugins = ["tests.support.store_fixtures"]


@databases
def test_issues_are_found_and_repaired_without_loss(store: FullStore, session: Session, ask: Ask) -> None:
    usage = {"prompt_tokens": 5, "cost": 0.5}
    session.append(*({**message, "usage": usage} for message in user_messages(*range(6))))
    ask("UPDATE messages SET body = '{\"role\": tor' WHERE n = 1")
    ask("UPDATE messages SET body = NULL, packed = :packed WHERE n = 2", packed=b"never compressed")
    ask("DELETE FROM messages WHERE n = 4")
    with pytest.raises(Damaged, match=session.id) as caught:
        store.read(session.id, 0, 9)
    assert "doctor" in caught.value.hint
    found = store.check()
    assert [(finding.session_id, finding.problem) for finding in found] == [
        (session.id, "2 of its messages cannot be read: 1, 2."),
        (session.id, "1 of its messages is missing."),
    ]
    assert store.check() == found
    repaired = store.check(repair=True)
    assert [(each.place, each.problem, each.repaired) for each in repaired] == [
        (each.place, each.problem, True) for each in found
    ]
    assert store.check() == store.check(repair=True) == []
    info = store.load(session.id).info
    assert (info.message_count, info.prompt_tokens, info.cost) == (3, 15, 1.5)
    assert [message["content"] for message in store.read(session.id, 0, 9)] == [0, 3, 5]
    assert ask("SELECT part, body FROM corrupt WHERE body IS NOT NULL") == [("message 1", '{"role": tor')]
    assert ask("SELECT count(*) FROM corrupt") == [(2,)]
    store.append(session.id, user_messages("new"), expected=3)


@databases
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE sessions SET message_count = 7",
        "UPDATE sessions SET message_count = 1",
        "UPDATE messages SET n = n - 10",
        "UPDATE sessions SET prompt_tokens = 1, cost = NULL",
        "UPDATE sessions SET bytes = 0",
        "UPDATE messages SET n = n + 10",
        "UPDATE sessions SET metadata = '[1]'",
        "UPDATE sessions SET parent = '{', tags = '3'",
    ],
)
def test_any_damage_is_repaired_in_one_run(store: FullStore, session: Session, ask: Ask, damage: str) -> None:
    usage = {"prompt_tokens": 5, "cost": 0.5}
    session.append(*({**message, "usage": usage} for message in user_messages(1, 2)))
    before = store.load(session.id).info
    ask(damage)
    assert all(not finding.repaired for finding in store.check())
    assert store.check()
    assert all(finding.repaired for finding in store.check(repair=True))
    assert store.check() == []
    assert store.load(session.id).info == before
    assert [message["content"] for message in store.read(session.id, 0, 9)] == [1, 2]


@databases
def test_messages_without_a_session_become_a_session(store: FullStore, ask: Ask) -> None:
    keys = [f"01990000-0000-7000-8000-00000000000{number}" for number in range(2)]
    for number, key in enumerate(keys):
        store.create(new_info(f"Notes {number}", id=key), {}, user_messages(number))
    assert isinstance(store, SqlStore)
    lose_sessions(store)
    assert store.list() == []
    assert {finding.session_id for finding in store.check()} == set(keys)
    store.check(repair=True)
    assert store.check() == []
    assert {info.id for info in store.list()} == set(keys)
    names = sorted(info.name for info in store.list())
    assert names == ["Recovered 2025-08-31 12:00", "Recovered 2025-08-31 12:00 2"]
    assert store.read(keys[1], 0, 9) == user_messages(1)


def lose_sessions(store: SqlStore) -> None:
    """Delete rows of sessions with the foreign keys switched off."""
    with store._database._engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            driver = connection.connection.driver_connection
            assert driver
            driver.executescript("PRAGMA foreign_keys=0; DELETE FROM sessions; PRAGMA foreign_keys=1;")
        else:
            for statement in (
                "ALTER TABLE messages DISABLE TRIGGER ALL",
                "ALTER TABLE sessions DISABLE TRIGGER ALL",
                "DELETE FROM sessions",
                "ALTER TABLE messages ENABLE TRIGGER ALL",
                "ALTER TABLE sessions ENABLE TRIGGER ALL",
            ):
                connection.execute(text(statement))
            connection.commit()
