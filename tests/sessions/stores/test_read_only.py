"""A store that was opened for reading only shows the same sessions, and refuses to change them."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from prompt_objects.errors import NotFound, StoreError
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.stores.base import StoreOptions
from prompt_objects.sessions.stores.frames import digest_of
from prompt_objects.sessions.stores.lease import ProcessInfo
from tests.support.store_urls import OUTSIDE, FullStore, Opener

pytest_plugins = ["tests.support.store_fixtures"]

READ_ONLY = StoreOptions(read_only=True)
HELLO = {"role": "user", "content": "Hello"}
FRAME = b'{"model":"m"}'
AT_ONCE = timedelta(seconds=-1)

pytestmark = pytest.mark.parametrize("url", OUTSIDE, indirect=True)


def test_it_shows_what_the_writer_has_written(store: FullStore, session: Session, open_again: Opener) -> None:
    reader = open_again(READ_ONLY)
    for number in range(3):
        session.append({**HELLO, "content": f"Hello {number}"})
        assert reader.list() == store.list()
        assert reader.load(session.id) == store.load(session.id)
        assert reader.read(session.id, 0, 9) == list(session.history)
    store.delete(session.id)
    assert (reader.list(), reader.trash()) == ([], store.trash())
    assert reader.read_trashed(session.id) == store.read_trashed(session.id)


CHANGES: dict[str, Callable[[FullStore, Session], object]] = {
    "create": lambda store, session: store.create(session.info, {}),
    "append": lambda store, session: store.append(session.id, [HELLO], expected=1),
    "update": lambda store, session: store.update(session.id, name="Other"),
    "truncate": lambda store, session: store.truncate(session.id, 0),
    "archive": lambda store, session: store.archive(session.id),
    "delete": lambda store, session: store.delete(session.id),
    "restore": lambda store, session: store.restore(session.id),
    "purge": lambda store, session: store.purge(session.id),
    "keep a frame": lambda store, _: store.frames.keep(b"{}"),
    "keep a known frame": lambda store, _: store.frames.keep(FRAME),
    "remove a frame": lambda store, _: store.frames.remove(digest_of(FRAME), unused_for=AT_ONCE),
    "lease": lambda store, session: store.lease(session.id, ProcessInfo.current("ann")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_refused(store: FullStore, session: Session, open_again: Opener, change: str) -> None:
    session.append(HELLO, frames=[FRAME])
    expected = list(session.history)
    if change in {"restore", "purge"}:
        store.delete(session.id)
    with pytest.raises(StoreError, match="for reading only"):
        CHANGES[change](open_again(READ_ONLY), session)
    found = store.read_trashed(session.id)[1] if change in {"restore", "purge"} else store.read(session.id, 0, 9)
    assert found == expected
    assert store.frames.list().keys() == {digest_of(FRAME)}


def test_it_has_the_frames_of_the_writer(store: FullStore, open_again: Opener) -> None:
    reader = open_again(READ_ONLY)
    assert reader.frames.list() == {}  # also if the store does not exist yet
    with pytest.raises(NotFound):
        reader.frames.get(digest_of(FRAME))
    store.frames.keep(FRAME)
    assert reader.frames.get(digest_of(FRAME)) == FRAME
    assert reader.frames.list().keys() == {digest_of(FRAME)}
