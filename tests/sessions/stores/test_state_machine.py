"""Every store against a simple model: random operations by two handles, closing, and kills of another process."""

import time
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec import Struct
from msgspec.structs import replace

from prompt_objects.errors import Conflict, NameTaken, NotFound, UsageError
from prompt_objects.message import Message
from prompt_objects.sessions.frames import FrameUse, frame_of
from prompt_objects.sessions.info import SessionInfo, SessionRecord, new_id, with_totals
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.names import unique_name
from prompt_objects.sessions.stores.frames import digest_of
from prompt_objects.sessions.stores.json_lines import encode
from prompt_objects.sessions.stores.lease import ProcessInfo
from prompt_objects.utils.time import now
from tests.support.store_urls import FullStore, Opener
from tests.support.store_workers import Worker

pytest_plugins = ["tests.support.store_fixtures"]

NUMBERS = count()  # every example has its own prompt object, so that all can share a store

names = st.sampled_from(["Notes", "Ideas", "naïve “x”", "日本語"])
contents = st.text(st.characters(exclude_categories=()), max_size=12) | st.integers(1, 5).map(
    lambda k: "long " * 1000 * k
)
usages = st.fixed_dictionaries({"prompt_tokens": st.integers(0, 9), "cost": st.sampled_from([0.25, 0.5])})
questions = st.fixed_dictionaries({"role": st.just("user"), "content": contents})
frames = st.integers(0, 3).map(lambda number: encode({"model": f"m{number}"}))
requests = frames.map(lambda frame: {"frame": digest_of(frame), "content": frame.decode()})
answers = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": contents, "usage": usages, "request": requests}
)
batches = st.lists(questions | answers, min_size=1, max_size=3)
notes = st.dictionaries(st.sampled_from(["a", "b"]), st.integers(-9, 9) | contents, max_size=2)
handles = st.integers(0, 1)


class Held(Struct):
    """The expected state of a session."""

    info: SessionInfo
    messages: list[Message]
    metadata: dict[str, Any]
    trashed: bool = False

    def say(self, *messages: Message) -> None:
        """Hold these messages after all others."""
        self.keep([*self.messages, *messages], archived=False)

    def keep(self, messages: list[Message], *, archived: bool) -> None:
        """Hold these messages, and no others."""
        self.messages = messages
        self.info = replace(with_totals(self.info, messages), archived=archived)


class StoreMachine(RuleBasedStateMachine):
    """Runs every operation on a store and on a model of it, and compares them."""

    url: str
    open_again: Opener
    most_kills: int

    sessions = Bundle("sessions")

    def __init__(self) -> None:
        super().__init__()
        self.po_name = f"object_{next(NUMBERS)}"
        self.stores: list[FullStore] = [self.open_again(), self.open_again()]
        self.model: dict[str, Held] = {}
        self.deleted: list[str] = []
        self.kills = 0

    def teardown(self) -> None:
        for key, held in self.model.items():
            self.check_messages(self.stores[0], key)
            if not held.trashed:
                self.stores[1].delete(key)
            self.stores[0].purge(key)
        for store in self.stores:
            store.close()

    def live(self, key: str) -> bool:
        return key in self.model and not self.model[key].trashed

    def taken(self) -> set[str]:
        return {held.info.name for held in self.model.values() if not held.trashed}

    def keep_frames(self, handle: int, batch: list[Message]) -> None:
        for message in batch:
            if digest := frame_of(message):
                assert self.stores[handle].frames.keep(message["request"]["content"].encode()) == digest

    # Operations

    @rule(
        target=sessions, handle=handles, name=names, metadata=notes, batch=st.lists(questions | answers, max_size=2)
    )
    def create(self, handle: int, name: str, metadata: dict[str, Any], batch: list[Message]) -> str:
        moment = now()
        self.keep_frames(handle, batch)
        info = SessionInfo(
            id=new_id(), name=name, po_name=self.po_name, message_count=0, created_at=moment, updated_at=moment
        )
        if name in self.taken():
            with pytest.raises(NameTaken) as caught:
                self.stores[handle].create(info, metadata, batch)
            info = replace(info, name=caught.value.suggestion)
            assert info.name == unique_name(name, self.taken())
        record = self.stores[handle].create(info, metadata, batch)
        self.model[info.id] = Held(with_totals(info, batch), list(batch), metadata)
        assert record == SessionRecord(self.model[info.id].info, metadata)
        return info.id

    @rule(key=sessions, handle=handles, batch=batches, late=st.booleans())
    def append(self, key: str, handle: int, batch: list[Message], late: bool) -> None:
        store = self.stores[handle]
        if not self.live(key):
            with pytest.raises(NotFound):
                store.append(key, batch, expected=0)
            return
        held = self.model[key]
        if late:
            for expected in (len(held.messages) - 1, len(held.messages) + 1):
                with pytest.raises(Conflict):
                    store.append(key, batch, expected=expected)
        self.keep_frames(handle, batch)
        info = store.append(key, batch, expected=len(held.messages))
        held.say(*batch)
        held.info = replace(held.info, updated_at=info.updated_at)
        assert info == held.info
        assert store.read(key, len(held.messages) - len(batch), len(held.messages)) == batch

    @rule(key=sessions, handle=handles, name=names)
    def rename(self, key: str, handle: int, name: str) -> None:
        store = self.stores[handle]
        if not self.live(key):
            with pytest.raises(NotFound):
                store.update(key, name=name)
        elif name != self.model[key].info.name and name in self.taken():
            with pytest.raises(NameTaken):
                store.update(key, name=name)
        else:
            self.model[key].info = replace(self.model[key].info, name=name)
            assert store.update(key, name=name).info == self.model[key].info

    @rule(key=sessions, handle=handles, metadata=notes)
    def note(self, key: str, handle: int, metadata: dict[str, Any]) -> None:
        if self.live(key):
            self.model[key].metadata = metadata
            record = self.stores[handle].update(key, metadata=metadata)
            assert record == SessionRecord(self.model[key].info, metadata)

    @rule(key=sessions, handle=handles, part=st.floats(0, 1))
    def truncate(self, key: str, handle: int, part: float) -> None:
        store = self.stores[handle]
        if not self.live(key):
            with pytest.raises(NotFound):
                store.truncate(key, 0)
            return
        held = self.model[key]
        with pytest.raises(UsageError):
            store.truncate(key, len(held.messages) + 1)
        kept = int(part * len(held.messages))
        info = store.truncate(key, kept).info
        held.keep(held.messages[:kept], archived=held.info.archived)
        held.info = replace(held.info, updated_at=info.updated_at)
        assert info == held.info

    @rule(key=sessions, handle=handles)
    def archive(self, key: str, handle: int) -> None:
        if self.live(key):
            held = self.model[key]
            held.info = replace(held.info, archived=True)
            assert self.stores[handle].archive(key) == SessionRecord(held.info, held.metadata)

    @rule(target=sessions, key=sessions, handle=handles)
    def duplicate(self, key: str, handle: int) -> str:
        if not self.live(key):
            return key
        copy = SessionManager(self.stores[handle], self.po_name).duplicate(key)
        held = self.model[key]
        assert copy.name not in self.taken()
        assert dict(copy.metadata) == held.metadata
        self.model[copy.id] = Held(copy.info, list(held.messages), held.metadata)
        return copy.id

    @rule(key=sessions, handle=handles)
    def delete(self, key: str, handle: int) -> None:
        if not self.live(key):
            with pytest.raises(NotFound):
                self.stores[handle].delete(key)
            return
        self.stores[handle].delete(key)
        self.model[key].trashed = True

    @rule(key=sessions, handle=handles)
    def restore(self, key: str, handle: int) -> None:
        if key not in self.model or self.live(key):
            with pytest.raises(NotFound):
                self.stores[handle].restore(key)
            return
        held = self.model[key]
        held.info = replace(held.info, name=unique_name(held.info.name, self.taken()))
        held.trashed = False
        assert self.stores[handle].restore(key) == SessionRecord(held.info, held.metadata)

    @rule(key=consumes(sessions), handle=handles)
    def purge(self, key: str, handle: int) -> None:
        if self.live(key):
            with pytest.raises(NotFound):
                self.stores[handle].purge(key)
            self.stores[handle].delete(key)
        if self.model.pop(key, None):
            self.stores[handle].purge(key)

    @rule(handle=handles)
    def remove_unused_frames(self, handle: int) -> None:
        store = self.stores[handle]
        for digest in FrameUse(store).unused(store.frames.list()):
            store.frames.remove(digest, unused_for=timedelta(seconds=-1))
        for other in range(2):  # it remembers what it wrote for half an hour; removals wait for longer than that
            self.reopen(other)

    @rule(handle=handles)
    def reopen(self, handle: int) -> None:
        self.stores[handle].close()
        self.stores[handle] = self.open_again()

    @precondition(lambda self: self.url != "memory:" and self.kills < self.most_kills)
    @rule(key=sessions, handle=handles, first=questions, second=questions, milliseconds=st.integers(0, 4))
    def kill(self, key: str, handle: int, first: Message, second: Message, milliseconds: int) -> None:
        """Kill another process while it appends, and check the remaining messages."""
        if not self.live(key):
            return
        self.kills += 1
        held = self.model[key]
        with Worker(self.url) as worker:
            worker.do("lease", key, "ann")
            worker.do("append", key, [first], len(held.messages))
            held.say(first)
            worker.begin("append", key, [second], len(held.messages))
            time.sleep(milliseconds / 1000)
            acknowledged = worker.kill() == b"done\n"
        store = self.stores[handle]
        store.lease(key, ProcessInfo.current("bob")).release()
        self.wait_for_the_dead(store, key)
        came = store.read(key, len(held.messages), len(held.messages) + 9)
        assert came == [second] if acknowledged else came in ([], [second])
        held.say(*came)
        held.info = replace(held.info, updated_at=store.load(key).info.updated_at)

    def wait_for_the_dead(self, store: FullStore, key: str) -> None:
        """Wait for the server: it may still work for the killed client, and handles this update after that."""
        store.update(key, metadata=self.model[key].metadata)

    # Invariants

    @invariant()
    def every_answer_has_its_frame(self) -> None:
        for held in self.model.values():
            for message in held.messages:
                if digest := frame_of(message):
                    assert self.stores[1].frames.get(digest).decode() == message["request"]["content"]

    @invariant()
    def the_list_is_true(self) -> None:
        for store in self.stores:
            listed = [info for info in store.list() if info.po_name == self.po_name]
            expected = [held.info for held in self.model.values() if not held.trashed]
            assert listed == sorted(expected, key=lambda info: (info.updated_at, info.id), reverse=True)
            assert store.list(limit=2) == store.list()[:2]

    @invariant()
    def the_trash_is_true(self) -> None:
        trash = [entry.info for entry in self.stores[0].trash() if entry.info.po_name == self.po_name]
        expected = [held.info for held in self.model.values() if held.trashed]
        assert sorted(trash, key=str) == sorted(expected, key=str)

    @rule(key=sessions, handle=handles, k=st.integers(0, 5))
    def look(self, key: str, handle: int, k: int) -> None:
        store = self.stores[handle]
        if self.live(key):
            assert (
                SessionManager(store, self.po_name).get(key).tail(k)
                == self.model[key].messages[-k or len(self.model[key].messages) :]
            )
        elif key in self.model:
            held = self.model[key]
            assert store.read_trashed(key) == (SessionRecord(held.info, held.metadata), held.messages)

    def check_messages(self, store: FullStore, key: str) -> None:
        held = self.model[key]
        if not held.trashed:
            assert store.load(key) == SessionRecord(held.info, held.metadata)
            assert store.read(key, 0, len(held.messages) + 1) == held.messages


def run(url: str, open_again: Opener, *, examples: int, steps: int, kills: int) -> None:
    machine = type(
        "Machine", (StoreMachine,), {"url": url, "open_again": staticmethod(open_again), "most_kills": kills}
    )
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_the_store_behaves_like_the_model(url: str, open_again: Opener) -> None:
    run(url, open_again, examples=8, steps=25, kills=1)


@pytest.mark.campaign
def test_the_store_behaves_like_the_model_in_long_runs(url: str, open_again: Opener) -> None:
    run(url, open_again, examples=100, steps=50, kills=4)
