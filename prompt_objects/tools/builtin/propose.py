"""`propose_object` and `propose_change`: a prompt object proposes a definition, and the user approves it.

The draft is made before the user is asked, and exactly the bytes that were shown are written. If the file changed
since, nothing is written. No setting replaces the user's approval.
"""

import asyncio
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any, TypeAlias

from msgspec import Meta, Struct

from prompt_objects.errors import ToolError
from prompt_objects.runtime.context import Context, TakeSnapshot
from prompt_objects.tools.base import MakePreview, Preview, Tool
from prompt_objects.tools.builtin import edit
from prompt_objects.tools.builtin._definition_draft import (
    DefinitionChange,
    Draft,
    change_object,
    consequences,
    new_object,
)
from prompt_objects.tools.decorator import parse_arguments, schema_of
from prompt_objects.utils import filesystem as disk

_DRAFT = "draft"  # the argument with which an approved call runs
Reason: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=1000, description="The purpose, for the user to read")
]


class ObjectProposal(Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of `propose_object`."""

    definition: Annotated[
        str,
        Meta(
            min_length=1,
            description="The whole definition, in YAML: name (a letter, then letters, digits, _ and -), description, "
            "capabilities (a list of names of tools and prompt objects), and prompt (after '|')",
        ),
    ]
    reason: Reason


class ChangeProposal(Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of `propose_change`."""

    name: Annotated[str, Meta(min_length=1, description="Name of the prompt object")]
    reason: Reason
    prompt: Annotated[str | None, Meta(description="The whole new prompt")] = None
    description: Annotated[str | None, Meta(description="The whole new description")] = None
    add_capabilities: Annotated[
        tuple[str | dict[str, Any], ...],
        Meta(
            description="Names of tools and prompt objects; or, as in a definition, "
            "{'tool': …, 'approval': 'ask'}, {'po': …, 'context': 'continue'}, {'mcp': …, 'tools': […]}"
        ),
    ] = ()
    remove_capabilities: Annotated[
        tuple[str, ...], Meta(description="Names; to change a capability, also name it here and add it")
    ] = ()


def _draft_object(arguments: dict[str, Any], folder: Path, take_snapshot: TakeSnapshot) -> tuple[Draft, str]:
    proposal = parse_arguments(arguments, ObjectProposal)
    return new_object(proposal.definition, folder, take_snapshot), proposal.reason


def _draft_change(arguments: dict[str, Any], folder: Path, take_snapshot: TakeSnapshot) -> tuple[Draft, str]:
    proposal = parse_arguments(arguments, ChangeProposal)
    change = DefinitionChange(
        prompt=proposal.prompt or None,
        description=proposal.description or None,
        add=proposal.add_capabilities,
        remove=proposal.remove_capabilities,
    )
    return change_object(proposal.name, change, folder, take_snapshot), proposal.reason


def _preview(make_draft: Callable[[dict[str, Any], Path, TakeSnapshot], tuple[Draft, str]]) -> MakePreview:
    """Return a preview function whose result also carries the draft, so that the approved call writes just that."""

    def preview(arguments: dict[str, Any], folder: Path, take_snapshot: TakeSnapshot) -> Preview:
        draft, reason = make_draft(arguments, folder, take_snapshot)
        remarks = (f"It says: {' '.join(reason.split())}", *consequences(draft, take_snapshot))
        before = None if draft.before is None else draft.before.decode()
        path = draft.file.relative_to(folder).as_posix()
        return Preview(edit.TextChange(path, before, draft.after.decode()).diff(), remarks, {_DRAFT: draft})

    async def preview_in_thread(arguments: dict[str, Any], context: Context) -> Preview:
        return await asyncio.to_thread(preview, arguments, context.folder, context.services.take_snapshot)

    return preview_in_thread


async def _run(arguments: dict[str, Any], context: Context) -> str:
    draft = arguments.get(_DRAFT)
    if not isinstance(draft, Draft):
        raise ToolError("A proposal needs the user's approval.")
    return await asyncio.to_thread(_write, draft, context)


def _write(draft: Draft, context: Context) -> str:
    path = draft.file.relative_to(context.folder).as_posix()
    with disk.locked_file(context.data_dir / "objects.lock"), disk.store_errors("written", draft.file):
        if _content(draft.file) != draft.before:
            raise ToolError(f"{path} changed after the user saw the proposal. Nothing was written; propose again.")
        backup = _backup(draft, context.data_dir / "backups" / "objects") if draft.before is not None else None
        _replace(draft)
    result = f"{path} is written and takes effect with the next message to {draft.name}."
    return f"{result} The previous version is kept as {backup.name} among the backups." if backup else result


def _content(file: Path) -> bytes | None:
    try:
        return disk.read_file(file)
    except FileNotFoundError:
        return None


def _backup(draft: Draft, folder: Path) -> Path:
    disk.make_folder(folder)
    backup = folder / f"{draft.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{token_hex(2)}{draft.file.suffix}"
    disk.replace_file(backup, [draft.before or b""])
    return backup


def _replace(draft: Draft) -> None:
    if draft.before is None:
        disk.make_folder(draft.file.parent)
        disk.replace_file(draft.file, [draft.after])
        return
    if not os.access(draft.file, os.W_OK):
        raise ToolError(f"{draft.file.name} is write-protected.")
    mode = stat.S_IMODE(draft.file.stat().st_mode)
    disk.replace_file(draft.file, [draft.after])
    draft.file.chmod(mode)


propose_object = Tool(
    name="propose_object",
    description="Propose a new prompt object. The user sees its definition; it is written if they approve.",
    parameters=schema_of(ObjectProposal),
    run=_run,
    effect="write",
    always_ask=True,
    preview=_preview(_draft_object),
)
propose_change = Tool(
    name="propose_change",
    description="Propose to change a prompt object: its prompt, its description or its capabilities. "
    "The user sees the change; it is written if they approve.",
    parameters=schema_of(ChangeProposal),
    run=_run,
    effect="write",
    always_ask=True,
    preview=_preview(_draft_change),
)
