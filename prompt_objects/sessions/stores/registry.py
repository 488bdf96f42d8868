"""Opens the store that a URL names.

A package adds a store with an entry point in the group `prompt_objects.stores`: its name is the scheme of the URLs,
its object a function that takes the URL and `StoreOptions`, and returns a `Store`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from prompt_objects.errors import PromptObjectsError, UsageError
from prompt_objects.sessions.stores.base import Store, StoreOptions
from prompt_objects.sessions.stores.url import expanded, masked

_Opener: TypeAlias = Callable[[str, StoreOptions], Store]
_GROUP = "prompt_objects.stores"


def _files(url: str, options: StoreOptions) -> Store:
    from prompt_objects.sessions.stores.file.store import FileStore

    return FileStore(expanded(url.partition(":")[2]), options)


def _memory(url: str, options: StoreOptions) -> Store:
    from prompt_objects.sessions.stores.memory import MemoryStore

    if url.partition(":")[2]:
        raise UsageError(f"{url!r} does not name a store.", hint="The store in memory is called memory: only.")
    return MemoryStore(options)


def _sqlite(url: str, options: StoreOptions) -> Store:
    path = url.removeprefix("sqlite:///")
    if path in ("", url, ":memory:"):
        raise UsageError(f"{url!r} does not name a store.", hint="The URL of an SQLite database is sqlite:///PATH.")
    with _requiring_sql():
        from prompt_objects.sessions.stores.sql.sqlite import SQLite
        from prompt_objects.sessions.stores.sql.store import SqlStore

    return SqlStore(SQLite(expanded(path)), options)


def _postgresql(url: str, options: StoreOptions) -> Store:
    with _requiring_sql():
        import psycopg  # noqa: F401 - fail now, not at the first message

        from prompt_objects.sessions.stores.sql.postgresql import PostgreSQL
        from prompt_objects.sessions.stores.sql.store import SqlStore

    return SqlStore(PostgreSQL(url, options.pool_size), options)


@contextmanager
def _requiring_sql() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(
            f"Sessions in a database need {error.name}, which is not installed.",
            hint="Install it with: pip install 'prompt-objects[sql]'",
        ) from error


_BUILT_IN: dict[str, tuple[str, _Opener]] = {
    "files": ("files:PATH", _files),
    "memory": ("memory:", _memory),
    "sqlite": ("sqlite:///PATH", _sqlite),
    "postgresql": ("postgresql://USER:PASSWORD@HOST/DATABASE", _postgresql),
}


def open_store(url: str, options: StoreOptions = StoreOptions()) -> Store:  # noqa: B008 - it is immutable
    """Open the store that a URL such as `files:/home/ann/notes/.prompt_objects` names.

    Raises `UsageError` if there is no such store, or the package that offers it cannot be loaded.
    """
    scheme, colon, rest = url.partition(":")
    if colon and "\0" not in url:
        if scheme in _BUILT_IN and (rest or scheme == "memory"):
            return _BUILT_IN[scheme][1](url, options)
        if opener := None if scheme in _BUILT_IN else _installed(scheme):
            return opener(url, options)
    known = ", ".join(form for form, _ in _BUILT_IN.values())
    raise UsageError(f"{masked(url)!r} does not name a store.", hint=f"The built-in stores are: {known}.")


def _installed(scheme: str) -> _Opener | None:
    from importlib.metadata import entry_points

    for entry in entry_points(group=_GROUP, name=scheme):
        try:
            opener: _Opener = entry.load()
        except PromptObjectsError:
            raise
        except Exception as error:
            raise UsageError(
                f"The store {scheme}: of {entry.value} cannot be loaded: {type(error).__name__}: {error}",
                hint="Update or reinstall the package that offers it.",
            ) from error
        return opener
    return None
