"""The session of a test, opened a second time."""

from collections.abc import Callable

import pytest

from prompt_objects.sessions.session import Session
from tests.support.store_urls import Opener


@pytest.fixture
def reopened(open_again: Opener, session: Session) -> Callable[[], Session]:
    """The same session, opened by another store."""
    other = open_again()

    def reopen() -> Session:
        other.close()
        return Session(other, other.load(session.id))

    return reopen
