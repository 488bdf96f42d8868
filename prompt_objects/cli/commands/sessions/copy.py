"""`prompt-objects sessions copy`: copy all sessions from one store into another."""

import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, convert, field

from prompt_objects.cli.command import argument, shell_command
from prompt_objects.cli.json_output import format_table, print_result
from prompt_objects.cli.streams import print_err
from prompt_objects.cli.targets import open_environment
from prompt_objects.errors import UsageError
from prompt_objects.utils.text import pluralize

if TYPE_CHECKING:
    from prompt_objects.environment.environment import Environment
    from prompt_objects.sessions.store_copy import CopyResult
    from prompt_objects.sessions.stores.base import Store
    from prompt_objects.sessions.stores.url import StoreUrl

CopyOutcome: TypeAlias = Literal["copied", "completed", "same", "different", "damaged"]
_PROBLEMS = {
    "different": "differs from the session in the target, which was not changed",
    "damaged": "cannot be read; try: prompt-objects doctor",
}


class CopiedSessionJson(Struct):
    """The result of copying one session."""

    id: str
    name: str
    po_name: str
    outcome: CopyOutcome
    in_trash: bool
    renamed: Annotated[str | None, Meta(description="its name in the target, if it is different")]


class CopyJson(Struct):
    """A copy of a store."""

    source: Annotated[str, Meta(description="the URL, without its password")] = field(name="from")
    target: Annotated[str, Meta(description="the URL, without its password")] = field(name="to")
    counts: Annotated[dict[CopyOutcome, int], Meta(description="the number of sessions with each outcome")]
    sessions: list[CopiedSessionJson]


@shell_command(
    "sessions copy",
    argument("--from", dest="source", metavar="URL", help="the source; by default the environment's store"),
    argument("--to", dest="target", required=True, metavar="URL", help="the target"),
    output=CopyJson,
    examples=("sessions copy --to sqlite:///sessions.db",),
)
def copy(options: Namespace) -> int:
    """Copy all sessions from one store into another, and compare them.

    The exit code is 1 if a session was left out.
    """
    from prompt_objects.sessions.store_copy import copy_store, count_outcomes
    from prompt_objects.sessions.stores.url import mask_passwords

    notices: list[str] = []
    with open_environment(options) as environment, _stores(options, environment, notices) as (source, target):
        results = copy_store(source, target, _show_progress)
        source_url = options.source or environment.storage.url
    counts = count_outcomes(results)
    sessions = convert(results, list[CopiedSessionJson], from_attributes=True)
    data = CopyJson(mask_passwords(source_url), mask_passwords(options.target), counts, sessions)
    rows = [*_rows(results), ("total", ", ".join(f"{number:,} {outcome}" for outcome, number in counts.items()))]
    print_result(options, data, format_table(rows))
    print_err(*notices)
    return 1 if any(each.outcome in _PROBLEMS for each in results) else 0


@contextmanager
def _stores(options: Namespace, environment: "Environment", notices: list[str]) -> "Iterator[tuple[Store, Store]]":
    """Open the source and the target. Raises `UsageError` if the source does not exist or one is `memory:`."""
    from prompt_objects.sessions.stores.base import StoreOptions
    from prompt_objects.sessions.stores.registry import parse_store_url
    from prompt_objects.sessions.stores.url import mask_passwords

    settings = StoreOptions(**environment.config.store_options, notify=notices.append)
    target_url = parse_store_url(options.target, environment.folder)
    source_url = parse_store_url(options.source, environment.folder) if options.source else None
    for url in filter(None, (source_url, target_url)):
        if url.is_ephemeral:
            name = mask_passwords(url.text)
            problem = f"The store {name} starts empty, and its sessions are lost when this command ends."
            raise UsageError(problem, hint="Give one that persists.")
    if source_url:
        _require_source(source_url)
    with closing(target_url.open(settings)) as target, ExitStack() as stack:
        other = stack.enter_context(closing(source_url.open(settings))) if source_url else None
        yield environment.storage.store if other is None else other, target


def _require_source(url: "StoreUrl") -> None:
    """Raise `UsageError` if the folder or file does not exist, since opening the store would create it."""
    from prompt_objects.sessions.stores.url import mask_passwords

    if url.location and not os.path.exists(url.location):  # noqa: PTH110 - also False if access is denied
        raise UsageError(
            f"{mask_passwords(url.text)!r} has no sessions: there is no {url.location}.",
            hint="Nothing was copied. Give the store to copy from, for example files:PATH/.prompt_objects",
        )


def _show_progress(done: int, number: int) -> None:
    """Rewrite one line with the number of copied sessions, if standard error is a terminal."""
    if sys.stderr.isatty():
        end = "\n" if done == number else ""
        print(f"\r{done:,} of {pluralize(number, 'session')}", end=end, file=sys.stderr, flush=True)


def _rows(results: "list[CopyResult]") -> Iterator[tuple[str, str]]:
    for each in results:
        session = f"{each.name} ({each.id}) of {each.po_name}"
        if each.outcome in _PROBLEMS:
            yield each.outcome, f"{session} {_PROBLEMS[each.outcome]}"
        if each.renamed:
            yield "renamed", f"{session} has the name {each.renamed} in the target"
