"""`propose_object` and `propose_change`: what prompt objects are, changed by one of them once a person approved it.

What the person is shown is what is written, byte for byte: the draft is made before they are asked, and where the
file has changed since, nothing is written. No definition and no setting makes up for the person's word.
"""

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any, TypeAlias

from msgspec import Meta, Struct

from prompt_objects.errors import ToolError
from prompt_objects.runtime.context import Context, TakeSnapshot
from prompt_objects.tools.base import Preview, Tool
from prompt_objects.tools.builtin import edit
from prompt_objects.tools.builtin.definition_draft import (
    DefinitionChange,
    Draft,
    changed_object,
    consequences,
    new_object,
)
from prompt_objects.tools.decorator import checked, schema_of
from prompt_objects.utils import filesystem as disk

__all__ = [
    "PREVIEWS",
    "PROPOSAL_TOOLS",
]

_DRAFT = "draft"  # the argument with which an approved call runs
Previewer: TypeAlias = Callable[[dict[str, Any], Context], Awaitable[Preview]]
Reason: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=1000, description="What it is good for, for the person")
]


class ObjectProposal(Struct, frozen=True, forbid_unknown_fields=True):
    """A new prompt object."""

    definition: Annotated[
        str,
        Meta(
            min_length=1,
            description="The whole definition, in YAML: name (a letter, then letters, digits, _ and -), description, "
            "capabilities (a list of names of tools and prompt objects), and prompt (behind '|')",
        ),
    ]
    reason: Reason


class ChangeProposal(Struct, frozen=True, forbid_unknown_fields=True):
    """A change to a prompt object."""

    name: Annotated[str, Meta(min_length=1, description="Which prompt object")]
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
    remove_capabilities: Annotated[tuple[str, ...], Meta(description="Names, such as of one to be added anew")] = ()


def _new(arguments: dict[str, Any], folder: Path, look: TakeSnapshot) -> tuple[Draft, str]:
    wanted = checked(arguments, ObjectProposal)
    return new_object(wanted.definition, folder, look), wanted.reason


def _changed(arguments: dict[str, Any], folder: Path, look: TakeSnapshot) -> tuple[Draft, str]:
    wanted = checked(arguments, ChangeProposal)
    change = DefinitionChange(
        prompt=wanted.prompt or None,
        description=wanted.description or None,
        add=wanted.add_capabilities,
        remove=wanted.remove_capabilities,
    )
    return changed_object(wanted.name, change, folder, look), wanted.reason


def _previewing(draft: Callable[[dict[str, Any], Path, TakeSnapshot], tuple[Draft, str]]) -> Previewer:
    """Make what shows a person a proposal, and has what was shown be what is written."""

    async def preview(arguments: dict[str, Any], context: Context) -> Preview:
        return await asyncio.to_thread(shown, arguments, context.folder, context.services.take_snapshot)

    def shown(arguments: dict[str, Any], folder: Path, look: TakeSnapshot) -> Preview:
        made, reason = draft(arguments, folder, look)
        remarks = (f"It says: {' '.join(reason.split())}", *consequences(made, look))
        before = None if made.before is None else made.before.decode()
        diff = edit.TextChange(made.file.relative_to(folder).as_posix(), before, made.after.decode()).diff()
        return Preview(diff, remarks, {_DRAFT: made})

    return preview


async def _write(arguments: dict[str, Any], context: Context) -> str:
    draft = arguments.get(_DRAFT)
    if not isinstance(draft, Draft):
        raise ToolError("A proposal is carried out only once a person has seen and approved it.")
    return await asyncio.to_thread(_put, draft, context)


def _put(draft: Draft, context: Context) -> str:
    """Put a draft in its place; what was there is kept among the backups."""
    path = draft.file.relative_to(context.folder).as_posix()
    with disk.locked_file(context.data_dir / "objects.lock"):
        try:
            if _content(draft.file) != draft.before:
                raise ToolError(
                    f"{path} was changed after the person saw the proposal. Nothing was written; propose anew."
                )
            kept = _backup(draft, context.data_dir / "backups" / "objects") if draft.before is not None else None
            _replace(draft)
        except OSError as error:
            raise disk.store_error("written", draft.file, error) from error
    told = f"{path} is written, and counts from the next message to {draft.name} on."
    return f"{told} What was there before is kept as {kept.name} among the backups." if kept else told


def _content(file: Path) -> bytes | None:
    try:
        return disk.read_file(file)
    except FileNotFoundError:
        return None


def _backup(draft: Draft, folder: Path) -> Path:
    """Keep what stands in the file in a file of its own."""
    disk.make_folder(folder)
    kept = folder / f"{draft.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{token_hex(2)}{draft.file.suffix}"
    disk.replace_file(kept, [draft.before or b""])
    return kept


def _replace(draft: Draft) -> None:
    """Write the file in one step; its permissions stay as they are."""
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
    description="Propose a new prompt object. A person is shown its definition, and it is written if they approve.",
    parameters=schema_of(ObjectProposal),
    run=_write,
    effect="write",
    always_ask=True,
)
propose_change = Tool(
    name="propose_change",
    description="Propose to change a prompt object: its prompt, its description or its capabilities. "
    "A person is shown the change, and it is written if they approve.",
    parameters=schema_of(ChangeProposal),
    run=_write,
    effect="write",
    always_ask=True,
)
PROPOSAL_TOOLS = (propose_object, propose_change)
PREVIEWS: Mapping[str, Previewer] = {
    propose_object.name: _previewing(_new),
    propose_change.name: _previewing(_changed),
}
"""By a tool's name, what makes of a call the draft that a person is shown; raises `ToolError` where it is faulty."""
