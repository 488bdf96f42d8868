"""The output of commands: lines of text, or with `--json` structs whose keys are documented and stable.

Each struct is declared beside its command; those here belong to several. docs/commands.md lists their fields.
"""

import json
from argparse import Namespace
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

from msgspec import Meta, Struct, to_builtins

from prompt_objects.cli.streams import print_json_text, print_out
from prompt_objects.utils.time import timestamp

if TYPE_CHECKING:
    from prompt_objects.sessions.info import SessionInfo, TrashedSession

T = TypeVar("T", bound=Struct)


class ParentJson(Struct):
    """The call that started a session."""

    session: Annotated[str, Meta(description="the id of the session that contains the call")]
    call: Annotated[str, Meta(description="the id of the call")]


class SessionRefJson(Struct):
    """A reference to a session."""

    id: str
    name: str


class SessionJson(Struct):
    """A session."""

    id: Annotated[str, Meta(description="a UUID that never changes")]
    name: Annotated[str, Meta(description="unique among the sessions of its prompt object")]
    po_name: Annotated[str, Meta(description="its prompt object")]
    message_count: int
    created_at: datetime
    updated_at: Annotated[datetime, Meta(description="the time of the last message")]
    user_id: Annotated[str | None, Meta(description="its user, if the environment has several")]
    parent: Annotated[ParentJson | None, Meta(description="the call that started it, if a prompt object did")]
    tags: tuple[str, ...]
    prompt_tokens: Annotated[int, Meta(description="the sum over its messages")]
    completion_tokens: Annotated[int, Meta(description="the sum over its messages")]
    cached_tokens: Annotated[int, Meta(description="the sum over its messages")]
    cost: Annotated[float | None, Meta(description="in US dollars; null if no price is known")]
    archived: Annotated[bool, Meta(description="whether it is compressed until its next message")]


class TrashedSessionJson(SessionJson):
    """A session in the trash."""

    deleted_at: datetime


def as_json(struct: type[T], source: object, **others: object) -> T:
    """Make a struct from the attributes of `source` with the names of its fields, and from `others`."""
    names = [name for name in struct.__struct_fields__ if name not in others]
    return struct(**{name: getattr(source, name) for name in names}, **others)


def session_json(info: "SessionInfo") -> SessionJson:
    """Return a session as `--json` prints it."""
    return as_json(SessionJson, info)


def trashed_session_json(trashed: "TrashedSession") -> TrashedSessionJson:
    """Return a session in the trash as `--json` prints it."""
    return as_json(TrashedSessionJson, trashed.info, deleted_at=trashed.deleted_at)


def print_json(value: object, *, indent: int | None = 2) -> None:
    """Print structs, or any data, as JSON: times as UTC ISO 8601, paths as text."""
    data = to_builtins(value, builtin_types=(datetime,), enc_hook=str)
    print_json_text(json.dumps(data, default=timestamp, ensure_ascii=False, indent=indent))


def print_result(options: Namespace, data: Struct | Iterable[Struct], lines: Iterable[str]) -> None:
    """Print the data if `--json` was given, otherwise the lines."""
    if options.json:
        print_json(data if isinstance(data, Struct) else list(data))
    else:
        print_lines(lines)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines without their control characters."""
    from prompt_objects.ui.render.sanitize import clean_line

    for line in lines:
        print_out(clean_line(line))


def format_table(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Align the columns of a table; on a terminal, wrap cells at words so that the table fits."""
    from prompt_objects.cli.streams import screen_width
    from prompt_objects.ui.render.sanitize import clean_line
    from prompt_objects.ui.render.table import layout

    table = [tuple(clean_line(cell) for cell in row) for row in rows]
    for lines in layout(table, screen_width()):
        yield from lines
