"""SessionManager: names, keys, the current session, branches."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from prompt_objects.errors import Ambiguous, InvalidName, NameTaken, NotFound, UsageError
from prompt_objects.sessions.info import ParentCall
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.recent import RecentSessions
from prompt_objects.sessions.stores.base import Store
from tests.support.sessions import names

Again: TypeAlias = Callable[[], SessionManager]


pytest_plugins = ["tests.support.store_fixtures"]


def test_the_default_session_is_created_once_and_is_current(manager: SessionManager, manager_again: Again) -> None:
    first = manager.current()
    assert first.name == "Default"
    assert manager_again().current().id == first.id


def test_finding_the_current_session_creates_none(manager: SessionManager) -> None:
    assert manager.find_current() is None
    assert manager.list() == []
    made = manager.current()
    assert (found := manager.find_current()) is not None
    assert found.id == made.id


def test_current_is_the_session_used_last(manager: SessionManager, manager_again: Again) -> None:
    manager.create("One")
    manager.create("Two")
    manager.switch("One")
    assert manager_again().current().name == "One"


def test_another_window_does_not_change_the_current_session(manager: SessionManager, manager_again: Again) -> None:
    manager.create("One")
    manager.create("Two")
    manager.switch("One")
    manager_again().switch("Two")
    assert manager.current().name == "One"


def test_current_is_the_latest_session_of_the_user_if_the_last_one_is_gone(manager: SessionManager) -> None:
    manager.create("Old")
    manager.create("New")
    manager.create("Child", parent=ParentCall(session="s", call="c"))
    manager.create("Gone")
    manager.switch("Gone")
    manager.delete("Gone")
    assert manager.current().name == "New"


def test_a_draft_is_saved_with_its_first_message(manager: SessionManager, manager_again: Again) -> None:
    draft = manager.draft("Notes", parent=ParentCall(session="s", call="c"))
    draft.set_metadata({"a": 1})
    assert (draft.refresh(), list(draft.history), draft.tail(3), manager.list()) == ([], [], [], [])
    draft.append({"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"})
    found = manager_again().get(draft.id)
    assert (found.name, found.parent, found.metadata) == ("Notes", draft.parent, {"a": 1})
    assert found.history == draft.history
    draft.append({"role": "user", "content": "Bye"})
    assert [message["content"] for message in manager_again().get("Notes").history] == ["Hello", "Hi", "Bye"]


def test_a_draft_whose_name_is_taken_meanwhile_gets_a_number(manager: SessionManager) -> None:
    drafts = [manager.draft("Notes") for _ in range(3)]
    for draft in drafts:
        draft.append({"role": "user", "content": "Hello"})
    assert [draft.name for draft in drafts] == ["Notes", "Notes 2", "Notes 3"]
    assert sorted(names(manager)) == ["Notes", "Notes 2", "Notes 3"]


def test_refresh_finds_a_draft_that_was_saved_although_an_error_was_reported(manager: SessionManager) -> None:
    draft = manager.draft("Notes")
    assert draft.refresh() == []
    message = {"role": "user", "content": "Hello", "at": "2026-01-01T00:00:00Z"}
    manager.store.create(draft.info, {}, [message])  # as if the disk reported an error after writing
    assert draft.refresh() == [message]
    draft.append({"role": "assistant", "content": "Hi"})
    assert len(manager.get("Notes").history) == 2


def test_a_draft_whose_first_message_is_rejected_stays_a_draft(manager: SessionManager) -> None:
    draft = manager.draft("Notes")
    with pytest.raises(UsageError):
        draft.append({"role": "user", "content": float("nan")})
    assert manager.list() == []
    draft.append({"role": "user", "content": "Hello"})
    assert names(manager) == ["Notes"]
    with pytest.raises(InvalidName):
        manager.draft("")


def test_a_damaged_state_file_is_ignored(manager: SessionManager, tmp_path: Path, manager_again: Again) -> None:
    session = manager.current()
    for garbage in (
        b"",
        b"[",
        b"[1]",
        b'{"sessions": {"reader": 3}, "object": {}}',
        b'{"sessions": {"reader": "../x"}}',
    ):
        (tmp_path / "data" / "state.json").write_bytes(garbage)
        assert manager_again().current().id == session.id


def test_the_last_object_is_remembered(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "data" / "state.json"
    assert RecentSessions(path).last_object() is None
    RecentSessions(path).use_object("reader")
    assert RecentSessions(path).last_object() == "reader"
    assert SessionManager(store, last_used=RecentSessions(path)).current().po_name == "reader"


def test_sessions_are_listed_last_changed_first(manager: SessionManager) -> None:
    for name in ("One", "Two", "Three"):
        manager.create(name)
    manager.get("One").append({"role": "user", "content": "Hello"})
    assert names(manager) == ["One", "Three", "Two"]
    assert names(manager, limit=1) == ["One"]


def test_children_can_be_left_out(manager: SessionManager) -> None:
    child = manager.create("Child", parent=ParentCall(session="s", call="c"))
    manager.create("Own")
    assert names(manager, include_children=False) == ["Own"]
    assert manager.get(child.id).parent == ParentCall(session="s", call="c")


def test_automatic_names_are_unique(manager: SessionManager) -> None:
    manager.create("Session 3")
    manager.create("Session 2")
    assert [manager.create().name for _ in range(2)] == ["Session 4", "Session 5"]


def test_the_second_session_is_session_2(manager: SessionManager) -> None:
    manager.current()
    assert manager.create().name == "Session 2"


class TestKeys:
    def test_id_prefix_and_name_find_a_session(self, manager: SessionManager) -> None:
        session = manager.create("API notes")
        for key in (session.id, session.id.upper(), session.id[:30], "API notes", " api NOTES "):
            assert manager.get(key).id == session.id

    def test_an_exact_name_is_preferred_to_one_in_another_case(self, manager: SessionManager) -> None:
        manager.create("notes")
        upper = manager.create("Notes")
        assert manager.get("Notes").id == upper.id
        with pytest.raises(Ambiguous):
            manager.get("NOTES")

    def test_an_ambiguous_key_lists_the_candidates_with_unique_prefixes(self, store: Store) -> None:
        everywhere = SessionManager(store)
        for po_name in ("reader", "writer"):
            everywhere.create("Default", po_name=po_name)
        with pytest.raises(Ambiguous) as caught:
            everywhere.get("default")
        assert [c.partition(" ")[2] for c in caught.value.candidates] == [
            f"Default of {po}, 0 messages, just now" for po in ("writer", "reader")
        ]
        keys = [candidate.split()[0] for candidate in caught.value.candidates]
        assert [everywhere.get(key).po_name for key in keys] == ["writer", "reader"]

    def test_a_prefix_needs_four_characters(self, manager: SessionManager) -> None:
        session = manager.create("One")
        with pytest.raises(NotFound):
            manager.get(session.id[:3])

    def test_an_unknown_name_suggests_the_nearest(self, manager: SessionManager) -> None:
        manager.create("API notes")
        with pytest.raises(NotFound) as caught:
            manager.get("API nots")
        assert "API notes" in caught.value.hint

    def test_another_object_s_sessions_and_another_user_s_are_not_found(self, store: Store) -> None:
        hers = SessionManager(store, "reader", user_id="ann").create("Hers")
        for manager in (SessionManager(store, "writer"), SessionManager(store, "reader", user_id="bob")):
            assert manager.list() == []
            for key in (hers.id, "Hers", hers.id[:20]):
                with pytest.raises(NotFound):
                    manager.get(key)
        assert SessionManager(store).get("Hers").user_id == "ann"


class TestNaming:
    @pytest.mark.parametrize(
        "name",
        [
            *("", "   ", "a\nb", "a\tb", "\x1b[31mred", "a\u202eb", "a\u200bb", "a\u2028b", "\ud800", "\ue000"),
            *("a\u200db", "\u200d\U0001f469", "\U0001f469\u200d", "x\u200d\U0001f469"),
            *("x" * 101, "0193a1b2-0000-7000-8000-000000000000", "0193A1B2-0000-7000-8000-000000000000"),
        ],
    )
    def test_misleading_names_are_invalid(self, manager: SessionManager, name: str) -> None:
        with pytest.raises(InvalidName):
            manager.create(name)
        assert manager.list() == []

    def test_names_are_stripped_and_normalized(self, manager: SessionManager) -> None:
        assert manager.create("  Cafe\u0301 \u00e0 Paris ").name == "Caf\u00e9 \u00e0 Paris"
        with pytest.raises(NameTaken):
            manager.create("Caf\u00e9 a\u0300 Paris")

    def test_any_language_and_100_characters_are_valid(self, manager: SessionManager) -> None:
        for name in ("日本語のメモ", "заметки", "🦉 owls", "👩‍💻 work", "❤️‍🔥", "👍🏽‍💻", "x" * 100):
            assert manager.create(name).name == name
        assert manager.duplicate("x" * 100).name == "x" * 95 + " copy"

    def test_a_shortened_name_does_not_end_with_a_joiner(self, manager: SessionManager) -> None:
        name = manager.create("x" * 93 + "👩‍💻👩‍💻").name
        assert manager.duplicate(name).name == "x" * 93 + "👩 copy"

    def test_an_error_shows_a_name_as_it_was_typed(self, manager: SessionManager) -> None:
        with pytest.raises(NotFound, match="There is no session '👩‍💻 \\\\ \u202eNotes' of reader"):
            manager.get("👩‍💻 \\ \u202eNotes")

    def test_a_suggestion_is_free(self, manager: SessionManager) -> None:
        for name in ("Notes", "Notes 2"):
            manager.create(name)
        with pytest.raises(NameTaken) as caught:
            manager.create("Notes 2")
        assert manager.create(caught.value.suggestion).name == "Notes 3"


def test_rename_keeps_the_order_and_the_history(manager: SessionManager) -> None:
    one = manager.create("One")
    one.append({"role": "user", "content": "Hello"})
    manager.create("Two")
    assert manager.rename("One", "Uno").updated_at == one.updated_at
    assert names(manager) == ["Two", "Uno"]
    assert manager.rename("Uno", "Uno").name == "Uno"
    with pytest.raises(NameTaken):
        manager.rename("Uno", "Two")


def test_a_duplicate_is_independent(manager: SessionManager) -> None:
    source = manager.create("Notes", metadata={"a": 1})
    source.append({"role": "user", "content": "Hello"})
    copy, second = manager.duplicate("Notes"), manager.duplicate("Notes")
    assert (copy.name, second.name) == ("Notes copy", "Notes copy 2")
    copy.append({"role": "user", "content": "More"})
    assert [len(manager.get(name).history) for name in ("Notes", "Notes copy", "Notes copy 2")] == [1, 2, 1]
    assert second.metadata == {"a": 1}
    assert second.history == source.history


def test_a_branch_has_the_first_messages_and_names_its_source(manager: SessionManager) -> None:
    source = manager.create("Notes", metadata={"a": 1})
    source.append(*({"role": "user", "content": str(number)} for number in range(4)))
    branch = manager.branch("Notes", 2)
    assert (branch.name, list(branch.history)) == ("Notes branch", list(source.history[:2]))
    assert branch.metadata == {"a": 1, "branched_from": {"session": source.id, "at": 2}}
    assert manager.branch("Notes", 0, "Empty").message_count == 0
    assert manager.branch("Notes").message_count == 4
    for at in (5, -1):
        with pytest.raises(UsageError, match="4 messages"):
            manager.branch("Notes", at)
    assert source.refresh() == []


def test_an_archived_session_is_listed_read_and_continued(manager: SessionManager) -> None:
    session = manager.create("Notes")
    session.append({"role": "user", "content": "Hello"})
    archived = manager.archive("Notes")
    assert archived.info.archived
    assert manager.list()[0].archived
    assert archived.history == session.history
    archived.append({"role": "user", "content": "More"})
    assert not manager.get("Notes").info.archived
    copy = manager.duplicate("Notes")
    assert not copy.info.archived


def test_a_session_can_be_created_from_a_template(store: Store) -> None:
    messages = [{"role": "user", "content": "Review this diff"}]
    manager = SessionManager(store, "reader", templates=lambda: {"review": messages})
    session = manager.create(template="review")
    assert session.tail(1)[0]["content"] == "Review this diff"
    assert session.message_count == 1
    with pytest.raises(UsageError) as caught:
        manager.create(template="revew")
    assert "review" in caught.value.hint
    assert len(manager.list()) == 1


def test_a_manager_of_all_sessions_needs_a_prompt_object_to_create_one(store: Store) -> None:
    with pytest.raises(UsageError):
        SessionManager(store).create("Notes")
    assert SessionManager(store).for_object("reader").create("Notes").po_name == "reader"


@pytest.mark.parametrize("url", ["files"], indirect=True)
def test_a_session_file_opens_its_session_and_no_other_file_does(manager: SessionManager, tmp_path: Path) -> None:
    session = manager.create("Notes")
    file = tmp_path / "data" / "sessions" / f"{session.id}.json"
    assert manager.open_file(file).id == session.id
    elsewhere = tmp_path / file.name
    elsewhere.write_bytes(file.read_bytes())
    for path in (elsewhere, file.with_name("index.json")):
        with pytest.raises(UsageError):
            manager.open_file(path)


@pytest.mark.parametrize("url", ["files"], indirect=True)
def test_a_damaged_current_session_opens_with_its_readable_messages(
    manager: SessionManager, manager_again: Again, tmp_path: Path
) -> None:
    kept = manager.current()
    broken = manager.create("Broken")
    manager.switch(broken.id)
    (tmp_path / "data" / "sessions" / f"{broken.id}.json").write_text("not a session at all")
    found = manager_again().current()
    assert (found.id, found.name, list(found.history)) == (broken.id, "Broken", [])
    assert "not a session at all" in (tmp_path / "data" / "sessions" / f"{broken.id}.corrupt").read_text()
    assert manager_again().get(kept.id).id == kept.id
