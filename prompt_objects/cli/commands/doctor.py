"""`prompt-objects doctor`: check the sessions and definitions of an environment, and repair sessions on request."""

from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct, convert

from prompt_objects.cli.command import argument, shell_command
from prompt_objects.cli.json_output import print_result
from prompt_objects.cli.targets import open_environment
from prompt_objects.utils.text import pluralize

if TYPE_CHECKING:
    from prompt_objects.sessions.info import StoreIssue


class StoreIssueJson(Struct):
    """An issue in the store."""

    place: str
    problem: str
    remedy: Annotated[str, Meta(description="what `--repair` does about it")]
    session_id: str | None
    repaired: bool


class DoctorJson(Struct):
    """The findings of `doctor`."""

    findings: list[StoreIssueJson]
    faults: Annotated[tuple[str, ...], Meta(description="the errors in definitions")]
    unused_frames: Annotated[list[str], Meta(description="request frames that no answer refers to")]
    earlier: Annotated[list[str], Meta(description="what was repaired, lost or set aside before; it needs no repair")]


@shell_command(
    "doctor",
    argument("--repair", action="store_true", help="repair the sessions; no data is lost"),
    output=DoctorJson,
)
def doctor(options: Namespace) -> int:
    """Check the sessions and the definitions; with --repair, repair the sessions.

    The exit code is 1 if a problem remains.
    """
    from prompt_objects.sessions.frames import check_frames
    from prompt_objects.sessions.stores.base import Checking, Remembering

    with open_environment(options, reading=not options.repair) as environment:
        store = environment.storage.store
        earlier = store.repairs() if isinstance(store, Remembering) else []
        issues = store.check(repair=options.repair) if isinstance(store, Checking) else []
        is_sound = options.repair or not issues
        sessions = len(store.list()) if is_sound else None
        # A damaged session may refer to any frame.
        lost_frames, unused_frames = check_frames(store) if is_sound else ([], [])
        issues += lost_frames
        definition_errors = tuple(map(str, environment.catalog.errors()))
    data = DoctorJson(
        convert(issues, list[StoreIssueJson], from_attributes=True), definition_errors, unused_frames, earlier
    )
    done = {True: "Done:", False: "To do:"}
    lines = [f"{issue.place}: {issue.problem} {done[issue.repaired]} {issue.remedy}" for issue in issues]
    lines += [f"Earlier: {text}" for text in earlier]
    if unused_frames:
        frames = pluralize(len(unused_frames), "request frame")
        lines.append(f"No answer refers to {frames}. To remove what is unused: prompt-objects sessions prune")
    summary = _summary(issues, definition_errors, sessions, repair=options.repair)
    print_result(options, data, (*lines, *definition_errors, summary))
    return int(bool(definition_errors) or any(not issue.repaired for issue in issues))


def _summary(
    issues: "Sequence[StoreIssue]", definition_errors: Sequence[str], sessions: int | None, *, repair: bool
) -> str:
    checked = f"Checked {pluralize(sessions, 'session')}: " if sessions is not None else ""
    if not issues and not definition_errors:
        return f"{checked}no problems found."
    remaining = sum(not issue.repaired for issue in issues)
    parts = [f"{pluralize(len(issues), 'problem')} found"] if issues else []
    parts += [f"{len(issues) - remaining} repaired"] if repair and issues else []
    parts += [pluralize(len(definition_errors), "invalid definition")] if definition_errors else []
    hint = "" if repair or not remaining else " To repair, without losing data: prompt-objects doctor --repair"
    return f"{checked}{', '.join(parts)}.{hint}"
