"""`propose_object` and `propose_change`: a prompt object proposes a definition, and the user approves it.

The draft is made before the user is asked, and exactly the bytes that were shown are written. If the file changed
since, nothing is written. No setting replaces the user's approval.
"""

import asyncio
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeVar

from prompt_objects.errors import ToolError
from prompt_objects.runtime.context import Context, TakeSnapshot
from prompt_objects.tools.base import MakePreview, Preview, Tool
from prompt_objects.tools.builtin import edit
from prompt_objects.tools.builtin._definition_draft import (
    ChangeProposal,
    Draft,
    ObjectProposal,
    change_object,
    consequences,
    new_object,
)
from prompt_objects.tools.decorator import parse_arguments, schema_of
from prompt_objects.utils import filesystem as disk

_DRAFT = "draft"  # the argument with which an approved call runs
P = TypeVar("P", bound=ObjectProposal | ChangeProposal)


def _preview(kind: type[P], make_draft: Callable[[P, Path, TakeSnapshot], Draft]) -> MakePreview:
    """Return a preview function whose result also carries the draft, so that the approved call writes just that."""

    def preview(arguments: dict[str, Any], folder: Path, take_snapshot: TakeSnapshot) -> Preview:
        proposal = parse_arguments(arguments, kind)
        draft = make_draft(proposal, folder, take_snapshot)
        remarks = (f"It says: {' '.join(proposal.reason.split())}", *consequences(draft, take_snapshot))
        before = None if draft.before is None else draft.before.decode()
        path = draft.file.relative_to(folder).as_posix()
        diff = edit.TextChange(path, before, draft.after.decode()).diff()
        return Preview(diff, remarks, {_DRAFT: draft}, shows=kind.__struct_fields__)

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
    result = f"{path} is written and takes effect with the next message to {draft.name}."
    current = None
    with disk.locked_file(context.data_dir / "objects.lock"), disk.store_errors("written", draft.file):
        with suppress(FileNotFoundError):
            current = disk.read_file(draft.file)
        if current != draft.before:
            raise ToolError(f"{path} changed after the user saw the proposal. Nothing was written; propose again.")
        if draft.before is None:
            disk.make_folder(draft.file.parent)
            disk.replace_file(draft.file, [draft.after])
            return result
        backup = _replace(draft, draft.before, context.data_dir / "backups" / "objects")
    return f"{result} The previous version is kept as {backup.name} among the backups."


def _replace(draft: Draft, before: bytes, backups: Path) -> Path:
    """Replace a definition file, and return the backup of its previous content."""
    if not os.access(draft.file, os.W_OK):
        raise ToolError(f"{draft.file.name} is write-protected.")
    disk.make_folder(backups)
    backup = backups / f"{draft.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{token_hex(2)}{draft.file.suffix}"
    disk.replace_file(backup, [before])
    mode = stat.S_IMODE(draft.file.stat().st_mode)
    disk.replace_file(draft.file, [draft.after])
    draft.file.chmod(mode)
    return backup


propose_object = Tool(
    name="propose_object",
    description="Propose a new prompt object. The user sees its definition; it is written if they approve.",
    parameters=schema_of(ObjectProposal),
    run=_run,
    effect="write",
    always_ask=True,
    preview=_preview(ObjectProposal, new_object),
)
propose_change = Tool(
    name="propose_change",
    description="Propose to change a prompt object: its prompt, its description or its capabilities. "
    "The user sees the change; it is written if they approve.",
    parameters=schema_of(ChangeProposal),
    run=_run,
    effect="write",
    always_ask=True,
    preview=_preview(ChangeProposal, change_object),
)
