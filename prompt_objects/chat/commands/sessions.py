"""Commands about sessions."""

from pathlib import Path
from typing import Annotated, TypeAlias

from prompt_objects.chat.chat import Chat
from prompt_objects.chat.commands import FilePath, FreeText, Number, SessionKey, TrashedKey, slash_command
from prompt_objects.chat.results import CommandResult, Confirm, Switched, Table, Text
from prompt_objects.errors import UsageError
from prompt_objects.sessions.names import short_ids
from prompt_objects.sessions.session import Session
from prompt_objects.sessions.tree import describe
from prompt_objects.utils.text import pluralize, quoted
from prompt_objects.utils.time import time_ago
from prompt_objects.utils.user_folders import abbreviated

TITLE = "Sessions"


def _format_names() -> tuple[str, ...]:
    from prompt_objects.sessions.formats import format_names

    return format_names()


ExportFormat: TypeAlias = Annotated[str, _format_names]


@slash_command("sessions", anytime=True, is_common=True, aliases=("ls",), suggested_for=("history", "resume", "load"))
def sessions(chat: Chat) -> CommandResult:
    """List the sessions of this prompt object, most recently changed first.

    This includes the sessions of delegations from other prompt objects; their names begin with that of the caller.
    """
    infos = chat.po.session_manager.list()
    rows = [
        (info.name, str(info.message_count), time_ago(info.updated_at), short_id)
        for info, short_id in zip(infos, short_ids(infos), strict=True)
    ]
    mark = next((row for row, info in enumerate(infos) if info.id == chat.session.id), None)
    return Table(f"Sessions of {chat.po.name}", ("name", "messages", "last used", "id"), rows, mark)


@slash_command("session", anytime=True, aliases=("status", "info"))
def session(chat: Chat) -> CommandResult:
    """Show the current session."""
    info = chat.session.info
    rows = [
        ("name", info.name),
        ("prompt object", info.po_name),
        ("id", info.id),
        ("messages", str(info.message_count)),
        ("tokens", f"{info.prompt_tokens:,} in, {info.completion_tokens:,} out"),
        ("environment", abbreviated(chat.environment.folder)),
        ("created", time_ago(info.created_at)),
        ("last used", time_ago(info.updated_at)),
    ]
    if info.parent:
        rows.append(("called from", info.parent.session))
    return Table("Current session", ("", ""), rows)


@slash_command("session new", is_common=True, aliases=("new",), suggested_for=("clear", "reset"))
def new(chat: Chat, name: FreeText | None = None) -> CommandResult:
    """Create a session of this prompt object and switch to it."""
    chat.switch_session(chat.po.session_manager.create(name))
    return Switched(f"New session {chat.session.name}.")


@slash_command("session rename", aliases=("rename",))
def rename(chat: Chat, name: FreeText) -> CommandResult:
    """Rename the current session."""
    old = chat.session.name
    chat.po.session_manager.rename(chat.session.id, name)
    chat.session.refresh()
    return Text(f"Session {old} is now called {chat.session.name}.")


@slash_command("session switch", anytime=True, is_common=True, suggested_for=("resume", "load"))
def switch(chat: Chat, session: SessionKey) -> CommandResult:
    """Switch to another session of this prompt object, by its name or the beginning of its id."""
    chat.switch_session(chat.po.session_manager.get(session))
    return Switched(f"Session {chat.session.name}, {pluralize(chat.session.message_count, 'message')}.")


@slash_command("session delete", suggested_for=("delete", "rm"))
def delete(chat: Chat, session: SessionKey | None = None) -> CommandResult:
    """Move a session, by default the current one, to the trash.

    The sessions that its calls started go with it. /undo, or /session restore, restores all of them.
    """
    found = chat.po.session_manager.get(session or chat.session.id)

    def on_yes() -> CommandResult:
        chat.po.session_manager.delete(found.id)
        text = f"Session {found.name} is in the trash; /undo restores it."
        if found.id != chat.session.id:
            return Text(text)
        chat.switch_session(chat.po.session_manager.current())
        return Switched(f"{text} Now in {chat.session.name}.")

    question = f"Delete session {found.name} ({pluralize(found.message_count, 'message')})?"
    return Confirm(f"{_in_use(chat, found)}{question}", on_yes)


@slash_command("session restore")
def restore(chat: Chat, session: TrashedKey | None = None) -> CommandResult:
    """Restore a session from the trash, by default the last deleted one, and switch to it.

    The sessions that were deleted with it are restored, too.
    """
    chat.switch_session(chat.po.session_manager.restore(session))
    return Switched(f"Session {chat.session.name} restored, {pluralize(chat.session.message_count, 'message')}.")


@slash_command("session trash")
def trash(chat: Chat) -> CommandResult:
    """List the deleted sessions of this prompt object, most recently deleted first."""
    deleted = chat.po.session_manager.trash()
    rows = [
        (each.info.name, str(each.info.message_count), time_ago(each.deleted_at), short_id)
        for each, short_id in zip(deleted, short_ids([each.info for each in deleted]), strict=True)
    ]
    return Table(f"Deleted sessions of {chat.po.name}", ("name", "messages", "deleted", "id"), rows)


@slash_command("session purge")
def purge(chat: Chat, session: TrashedKey | None = None) -> CommandResult:
    """Permanently delete a session in the trash, or without a name all sessions of this prompt object there.

    The sessions of its delegations and its files in the workspace are deleted, too. Backups stay.
    """
    deleted = chat.po.session_manager.trash() if session is None else [chat.po.session_manager.find_trashed(session)]
    if not deleted:
        return Text("The trash is empty.")

    def on_yes() -> CommandResult:
        removed = chat.po.session_manager.purge(deleted[0].info.id if session else None)
        return Text(f"Deleted permanently: {describe(removed)}.")

    return Confirm(f"Permanently delete {describe([each.info for each in deleted])}?", on_yes)


@slash_command("session clear", suggested_for=("clear", "reset"))
def clear(chat: Chat) -> CommandResult:
    """Remove all messages of the current session; /undo restores them.

    A copy of the unchanged session goes into the trash.
    """
    before = chat.session.message_count
    chat.switch_session(chat.po.session_manager.clear(chat.session.id))
    return Switched(f"Session {chat.session.name} is empty now. /undo restores {pluralize(before, 'message')}.")


@slash_command("session truncate", suggested_for=("compact", "rewind"))
def truncate(chat: Chat, messages: Number) -> CommandResult:
    """Keep only the first messages of the current session; /undo restores the others.

    A copy of the unchanged session goes into the trash.
    """
    chat.switch_session(chat.po.session_manager.truncate(chat.session.id, messages))
    kept = pluralize(chat.session.message_count, "message")
    return Switched(f"Session {chat.session.name} has {kept} now. /undo restores the others.")


@slash_command("session branch", aliases=("fork",), suggested_for=("compact", "rewind"))
def branch(chat: Chat, messages: Number | None = None, name: FreeText | None = None) -> CommandResult:
    """Create a session with the first messages of the current one, by default all, and switch to it.

    If the first word is a number, it is the number of messages; the rest is the name.
    """
    chat.switch_session(chat.po.session_manager.branch(chat.session.id, messages, name))
    return Switched(f"Session {chat.session.name}, a branch with {pluralize(chat.session.message_count, 'message')}.")


@slash_command("session archive")
def archive(chat: Chat, session: SessionKey | None = None) -> CommandResult:
    """Compress a session, by default the current one, until its next message; it can still be read."""
    archived = chat.po.session_manager.archive(session or chat.session.id)
    if archived.id == chat.session.id:
        chat.switch_session(archived)
    return Text(f"Session {archived.name} is in the archive until its next message.")


@slash_command("session backup")
def backup(chat: Chat) -> CommandResult:
    """Back up the current session."""
    return Text(f"Wrote {chat.environment.storage.backups.save(chat.session.id)}")


@slash_command("session recover")
def recover(chat: Chat) -> CommandResult:
    """Save the responses that could not be saved when they arrived, and switch to the last one's session."""
    storage = chat.environment.storage
    saved = storage.unsaved.recover(storage.store)
    if not saved:
        return Text("There is nothing to recover.")
    info = saved[-1].info
    if info.po_name in chat.environment.catalog:
        chat.switch_object(info.po_name)
        chat.switch_session(chat.po.session_manager.get(info.id))
    return Switched(f"Saved in: {', '.join(record.info.name for record in saved)}.")


@slash_command("undo", is_common=True)
def undo(chat: Chat) -> CommandResult:
    """Undo the last rename, clear, truncate or delete of this prompt object's sessions; at most ten times.

    Undoing cannot be undone.
    """
    undone = chat.po.session_manager.undo()
    info = undone.record.info
    if undone.operation != "delete" and info.id != chat.session.id:
        return Text(str(undone))
    chat.switch_session(chat.po.session_manager.get(info.id))
    return Text(str(undone)) if undone.operation == "rename" else Switched(str(undone))


@slash_command("session duplicate")
def duplicate(chat: Chat, name: FreeText | None = None) -> CommandResult:
    """Copy the current session under another name and switch to the copy."""
    chat.switch_session(chat.po.session_manager.duplicate(chat.session.id, name))
    return Switched(f"Session {chat.session.name}, a copy.")


@slash_command("session export", aliases=("export",), suggested_for=("save", "copy", "share"))
def export(chat: Chat, kind: ExportFormat = "markdown", path: FilePath | None = None) -> CommandResult:
    """Write the current session to a file, by default in `.prompt_objects/exports`.

    An existing file is not overwritten.
    """
    from prompt_objects.sessions.formats import export_to

    written = export_to(chat.session, kind, _as_path(path) if path else None, chat.environment.data_dir / "exports")
    return Text(f"Wrote {written}")


def _in_use(chat: Chat, session: Session) -> str:
    holder = chat.holder_of(session)
    if holder is None:
        return ""
    return f"{session.name} is in use by {holder}; the next message saved there restores it from the trash. "


def _as_path(text: str) -> Path:
    if "\0" in text:
        raise UsageError(f"{quoted(text)} is not a path.", hint="Give another path.")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # ~name of an unknown user
        raise UsageError(f"{quoted(text)} is not a path: {error}", hint="Give another path.") from error
