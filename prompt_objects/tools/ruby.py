"""Tools that the Ruby implementation gives to every object, for its environments; shared data are notes here.

Other environments do not have them: `notes` does the same.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from prompt_objects.errors import ToolError
from prompt_objects.runtime.context import Context
from prompt_objects.tools.base import Tool
from prompt_objects.tools.builtin.notes import Note, notes, notes_folder, read_notes
from prompt_objects.tools.decorator import tool
from prompt_objects.utils.concurrency import run_in_daemon_thread

_Key = Annotated[str, Meta(min_length=1, max_length=100, description="The name of the data, such as 'findings'")]
_Summary = Annotated[str, Meta(description="What the data is, in one or two sentences")]
_SUMMARY, _VALUE = "short_description", "value"


@tool
def think(thought: Annotated[str, Meta(description="Your reasoning")]) -> str:
    """Think a problem through before acting. The thought is part of the conversation, but not of the answer."""
    return "Thought recorded." if thought.strip() else "There is no thought."


@tool
async def store_env_data(key: _Key, short_description: _Summary, value: Any, *, context: Context) -> str:
    """Store data under a key, for all prompt objects of this conversation; an existing value is replaced."""
    await _save(key, {_SUMMARY: short_description, _VALUE: value}, context)
    return f"Stored {key!r}."


@tool
async def get_env_data(key: _Key, *, context: Context) -> str:
    """Return the data of a key as JSON; `list_env_data` returns the keys."""
    return json.dumps((await _load(key, context))[_VALUE], ensure_ascii=False)


@tool
async def list_env_data(*, context: Context) -> str:
    """List the keys of all data of this conversation, with their descriptions and authors, but without values."""
    saved = await _read(context)
    rows = [{"key": note.name, _SUMMARY: _parsed(note)[_SUMMARY], "stored_by": note.path[-1]} for note in saved]
    return json.dumps(rows, ensure_ascii=False) if rows else "There is no data in this conversation yet."


@tool
async def update_env_data(
    key: _Key, short_description: _Summary | UnsetType = UNSET, value: Any = UNSET, *, context: Context
) -> str:
    """Change the data or the description of an existing key; what is left out stays."""
    given = {_SUMMARY: short_description, _VALUE: value}
    changes = {name: each for name, each in given.items() if each is not UNSET}
    await _save(key, {**await _load(key, context), **changes}, context)
    return f"Updated {key!r}."


@tool
async def delete_env_data(key: _Key, *, context: Context) -> str:
    """Delete a key and its data."""
    await notes.run({"name": key, "remove": True}, context)
    return f"Deleted {key!r}."


RUBY_TOOLS: tuple[Tool, ...] = (think, store_env_data, get_env_data, list_env_data, update_env_data, delete_env_data)


async def _save(key: str, data: Mapping[str, Any], context: Context) -> None:
    await notes.run({"name": key, "text": json.dumps(data, ensure_ascii=False)}, context)


async def _load(key: str, context: Context) -> dict[str, Any]:
    saved = {note.name: note for note in await _read(context)}
    if key not in saved:
        raise ToolError(f"There is no data {key!r}. Existing keys: {', '.join(saved) or 'none'}.")
    return _parsed(saved[key])


async def _read(context: Context) -> list[Note]:
    return await run_in_daemon_thread(lambda: read_notes(notes_folder(context)))


def _parsed(note: Note) -> dict[str, Any]:
    """Return the data of a note; a note that was written by `notes` is data without a description."""
    try:
        data = json.loads(note.text)
    except ValueError:
        data = None
    is_data = isinstance(data, dict) and data.keys() == {_SUMMARY, _VALUE}
    return data if is_data else {_SUMMARY: "", _VALUE: note.text}
