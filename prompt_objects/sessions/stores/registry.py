"""The kinds of stores, and `open_store(url)`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prompt_objects.errors import UsageError
from prompt_objects.sessions.stores.base import Store, StoreOptions
from prompt_objects.sessions.stores.url import expanded, masked

__all__ = [
    "open_store",
]


def _files(url: str, options: StoreOptions) -> Store:
    from prompt_objects.sessions.stores.file.store import FileStore

    return FileStore(expanded(url.partition(":")[2]), options)


def _memory(url: str, options: StoreOptions) -> Store:
    from prompt_objects.sessions.stores.memory import MemoryStore

    if url.partition(":")[2]:
        raise UsageError(f"{url!r} does not name a store.", hint="The one in memory is called memory: and no more.")
    return MemoryStore(options)


def _sqlite(url: str, options: StoreOptions) -> Store:
    place = url.removeprefix("sqlite:///")
    if place in ("", url, ":memory:"):
        raise UsageError(f"{url!r} does not name a store.", hint="An SQLite database is named by sqlite:///PATH.")
    with _needing("sql"):
        from prompt_objects.sessions.stores.sql.sqlite import SQLite
        from prompt_objects.sessions.stores.sql.store import SqlStore

    return SqlStore(SQLite(expanded(place)), options)


def _postgresql(url: str, options: StoreOptions) -> Store:
    with _needing("sql"):
        import psycopg  # noqa: F401 - whether it is there is better known now than at the first message

        from prompt_objects.sessions.stores.sql.postgresql import PostgreSQL
        from prompt_objects.sessions.stores.sql.store import SqlStore

    return SqlStore(PostgreSQL(url, options.pool_size), options)


@contextmanager
def _needing(extra: str) -> Iterator[None]:
    """Say what has to be installed where an import does not find it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(
            f"Sessions in a database need {error.name}, which is not installed.",
            hint=f"Install it with: pip install 'prompt-objects[{extra}]'",
        ) from error


_KINDS: dict[str, tuple[str, Callable[[str, StoreOptions], Store]]] = {
    "files": ("files:PATH", _files),
    "memory": ("memory:", _memory),
    "sqlite": ("sqlite:///PATH", _sqlite),
    "postgresql": ("postgresql://USER:PASSWORD@HOST/DATABASE", _postgresql),
}


def open_store(url: str, options: StoreOptions = StoreOptions()) -> Store:  # noqa: B008 - it is immutable
    """Open the store that a URL such as `files:/home/ann/notes/.prompt_objects` names.

    Raises `UsageError` where the URL names no kind of store that there is.
    """
    kind, colon, place = url.partition(":")
    if not colon or kind not in _KINDS or (not place and kind != "memory") or "\0" in url:
        known = ", ".join(form for form, _ in _KINDS.values())
        raise UsageError(f"{masked(url)!r} does not name a store.", hint=f"The stores that there are: {known}.")
    return _KINDS[kind][1](url, options)
