"""The kinds of stores, by the scheme of their URLs.

A package adds a kind with an entry point in the group `prompt_objects.stores`: its name is the scheme, its object a
subclass of `StoreUrl`. A function that takes the URL and `StoreOptions`, and returns a `Store`, is enough for a store
without files on this machine.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

from prompt_objects.errors import PromptObjectsError, UsageError
from prompt_objects.sessions.stores.base import Store, StoreOptions
from prompt_objects.sessions.stores.url import StoreUrl, mask_passwords

_Open: TypeAlias = Callable[[str, StoreOptions], Store]
_GROUP = "prompt_objects.stores"


class _Files(StoreUrl):
    form = "files:PATH"

    def open(self, options: StoreOptions) -> Store:
        from prompt_objects.sessions.stores.file.store import FileStore

        if not self.path:
            raise _no_store(self.text)
        return FileStore(self.path, options)

    @property
    def location(self) -> Path | None:
        return self.path / "sessions" if self.path else None

    @property
    def data_paths(self) -> Sequence[Path]:
        return (self.path / "sessions", self.path) if self.path else ()


class _Memory(StoreUrl):
    form = "memory:"
    is_ephemeral = True

    def open(self, options: StoreOptions) -> Store:
        from prompt_objects.sessions.stores.memory import MemoryStore

        if self.text != self.form:
            raise _no_store(self.text, "The store in memory is called memory: only.")
        return MemoryStore(options)


class _SQLite(StoreUrl):
    form = "sqlite:///PATH"

    def open(self, options: StoreOptions) -> Store:
        if not self.path or self.path.name == ":memory:":
            raise _no_store(self.text, "The URL of an SQLite database is sqlite:///PATH.")
        with _requiring_sql():
            from prompt_objects.sessions.stores.sql.sqlite import SQLite
            from prompt_objects.sessions.stores.sql.store import SqlStore

        return SqlStore(SQLite(self.path, read_only=options.read_only), options)

    @property
    def data_paths(self) -> Sequence[Path]:
        return [Path(f"{self.path}{ending}") for ending in ("", "-wal", "-shm", "-journal")] if self.path else ()


class _PostgreSQL(StoreUrl):
    form = "postgresql://USER:PASSWORD@HOST/DATABASE"

    def open(self, options: StoreOptions) -> Store:
        with _requiring_sql():
            import psycopg  # noqa: F401 - fail now, not at the first message

            from prompt_objects.sessions.stores.sql.postgresql import PostgreSQL
            from prompt_objects.sessions.stores.sql.store import SqlStore

        return SqlStore(PostgreSQL(self.text, options.pool_size, read_only=options.read_only), options)


class _FunctionUrl(StoreUrl):
    def __init__(self, function: _Open, text: str, folder: Path) -> None:
        super().__init__(text, folder)
        self._function = function

    def open(self, options: StoreOptions) -> Store:
        return self._function(self.text, options)


@contextmanager
def _requiring_sql() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(
            f"Sessions in a database need {error.name}, which is not installed.",
            hint="Install it with: pip install 'prompt-objects[sql]'",
        ) from error


_BUILT_IN: dict[str, type[StoreUrl]] = {
    "files": _Files,
    "memory": _Memory,
    "sqlite": _SQLite,
    "postgresql": _PostgreSQL,
}


def parse_store_url(text: str, folder: Path = Path()) -> StoreUrl:
    """Parse a URL such as `files:/home/ann/notes/.prompt_objects`; a relative path in it starts at `folder`.

    Raises `UsageError` for the home of an unknown user. Any other invalid URL is refused when it is opened, and so is
    the store of a package that cannot be loaded.
    """
    scheme, colon, _ = text.partition(":")
    kind = (_BUILT_IN.get(scheme) or _installed(scheme)) if colon and "\0" not in text else None
    return kind(text, folder) if kind else _FunctionUrl(partial(_fail, _no_store(text)), text, folder)


def open_store(url: str, options: StoreOptions = StoreOptions()) -> Store:  # noqa: B008 - it is immutable
    """Open the store that a URL such as `files:/home/ann/notes/.prompt_objects` names.

    Raises `UsageError` if there is no such store, or the package that offers it cannot be loaded.
    """
    return parse_store_url(url).open(options)


def _installed(scheme: str) -> Callable[[str, Path], StoreUrl] | None:
    from importlib.metadata import entry_points

    for entry in entry_points(group=_GROUP, name=scheme):
        try:
            found = entry.load()
        except PromptObjectsError as error:
            return partial(_FunctionUrl, partial(_fail, error))
        except Exception as error:  # noqa: BLE001 - it is the cause of the error
            failure = UsageError(
                f"The store {scheme}: of {entry.value} cannot be loaded: {type(error).__name__}: {error}",
                hint="Update or reinstall the package that offers it.",
            )
            failure.__cause__ = error
            return partial(_FunctionUrl, partial(_fail, failure))
        is_declared = isinstance(found, type) and issubclass(found, StoreUrl)
        return found if is_declared else partial(_FunctionUrl, found)
    return None


def _fail(error: PromptObjectsError, _url: str, _options: StoreOptions) -> Store:
    raise error


def _no_store(url: str, hint: str = "") -> UsageError:
    known = ", ".join(kind.form for kind in _BUILT_IN.values())
    hint = hint or f"The built-in stores are: {known}."
    return UsageError(f"{mask_passwords(url)!r} does not name a store.", hint=hint)
