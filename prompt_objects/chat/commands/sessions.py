"""Commands about sessions."""

from pathlib import Path
from typing import Annotated, TypeAlias

from prompt_objects.chat.chat import Chat
from prompt_objects.chat.command import FilePath, FreeText, Number, SessionKey, TrashedKey, command
from prompt_objects.chat.results import CommandResult, Confirm, Switched, Table, Text
from prompt_objects.errors import UsageError
from prompt_objects.sessions.session import Session
from prompt_objects.utils.text import pluralize, time_ago


def _format_names() -> tuple[str, ...]:
    from prompt_objects.sessions.formats import format_names

    return format_names()


ExportFormat: TypeAlias = Annotated[str, _format_names]


@command("sessions", anytime=True)
def sessions(chat: Chat) -> CommandResult:
    """List the sessions of this prompt object, the latest first.

    Sessions in which other prompt objects asked this one are listed as well; their names begin with the asker's.
    """
    infos = chat.sessions()
    rows = [(info.name, str(info.message_count), time_ago(info.updated_at), info.id) for info in infos]
    mark = next((row for row, info in enumerate(infos) if info.id == chat.session.id), None)
    return Table(f"Sessions of {chat.po.name}", ("name", "messages", "last used", "id"), rows, mark)


@command("session", anytime=True)
def session(chat: Chat) -> CommandResult:
    """Show the current session."""
    info = chat.session.info
    rows = [
        ("name", info.name),
        ("of", info.po_name),
        ("id", info.id),
        ("messages", str(info.message_count)),
        ("tokens", f"{info.prompt_tokens:,} in, {info.completion_tokens:,} out"),
        ("begun", time_ago(info.created_at)),
        ("last used", time_ago(info.updated_at)),
    ]
    if info.parent:
        rows.append(("asked from", info.parent.session))
    return Table("Current session", ("", ""), rows)


@command("session new")
def new(chat: Chat, name: FreeText | None = None) -> CommandResult:
    """Begin a new session of this prompt object and go to it."""
    chat.open(chat.manager.create(name))
    return Switched(f"New session {chat.session.name}.")


@command("session rename")
def rename(chat: Chat, name: FreeText) -> CommandResult:
    """Give the current session another name."""
    old = chat.session.name
    chat.manager.rename(chat.session.id, name)
    chat.session.refresh()
    return Text(f"Session {old} is now called {chat.session.name}.")


@command("session switch", anytime=True)
def switch(chat: Chat, session: SessionKey) -> CommandResult:
    """Go to another session of this prompt object, by its name or the beginning of its id."""
    chat.open(chat.manager.get(session))
    return Switched(f"Session {chat.session.name}, {pluralize(chat.session.message_count, 'message')}.")


@command("session delete")
def delete(chat: Chat, session: SessionKey | None = None) -> CommandResult:
    """Move a session, by default the current one, to the trash.

    The sessions that its calls began go along. /undo, or /session restore, brings all of them back.
    """
    doomed = chat.manager.get(session or chat.session.id)

    def yes() -> CommandResult:
        chat.manager.delete(doomed.id)
        told = f"Session {doomed.name} is in the trash; /undo brings it back."
        if doomed.id != chat.session.id:
            return Text(told)
        chat.open(chat.manager.current())
        return Switched(f"{told} Now in {chat.session.name}.")

    asked = f"Delete session {doomed.name} ({pluralize(doomed.message_count, 'message')})?"
    return Confirm(f"{_in_use(chat, doomed)}{asked}", yes)


@command("session restore")
def restore(chat: Chat, session: TrashedKey | None = None) -> CommandResult:
    """Bring a session back from the trash, by default the last deleted one, and go to it.

    What went along with it comes along, too.
    """
    chat.open(chat.manager.restore(session))
    return Switched(f"Session {chat.session.name} is back, {pluralize(chat.session.message_count, 'message')}.")


@command("session trash")
def trash(chat: Chat) -> CommandResult:
    """List the deleted sessions of this prompt object, the last deleted first."""
    deleted = chat.manager.trash()
    rows = [
        (each.info.name, str(each.info.message_count), time_ago(each.deleted_at), each.info.id) for each in deleted
    ]
    return Table(f"Deleted sessions of {chat.po.name}", ("name", "messages", "deleted", "id"), rows)


@command("session purge")
def purge(chat: Chat, session: TrashedKey | None = None) -> CommandResult:
    """Remove a session from the trash for good, or, without a name, all that this prompt object has there.

    The sessions that its calls began, the logs and the copies of attached files go with it. Backups stay.
    """
    doomed = chat.manager.trash() if session is None else [chat.manager.find_trashed(session)]
    if not doomed:
        return Text("The trash is empty.")
    what = pluralize(len(doomed), "session") if session is None else f"session {doomed[0].info.name}"

    def yes() -> CommandResult:
        gone = chat.manager.purge(doomed[0].info.id if session else None)
        return Text(f"{pluralize(len(gone), 'session')} gone for good.")

    return Confirm(f"Remove {what} from the trash for good?", yes)


@command("session clear")
def clear(chat: Chat) -> CommandResult:
    """Drop all messages of the current session; /undo brings them back.

    A copy of the session as it was goes into the trash.
    """
    before = chat.session.message_count
    chat.open(chat.manager.clear(chat.session.id))
    return Switched(f"Session {chat.session.name} is empty now. /undo brings back {pluralize(before, 'message')}.")


@command("session truncate")
def truncate(chat: Chat, messages: Number) -> CommandResult:
    """Keep only so many of the current session's first messages; /undo brings the others back.

    A copy of the session as it was goes into the trash.
    """
    chat.open(chat.manager.truncate(chat.session.id, messages))
    kept = pluralize(chat.session.message_count, "message")
    return Switched(f"Session {chat.session.name} has {kept} now. /undo brings the others back.")


@command("session branch")
def branch(chat: Chat, messages: Number | None = None, name: FreeText | None = None) -> CommandResult:
    """Begin a session with so many of the current one's first messages, by default all, and go to it.

    The first word, where it is a number, is how many; the rest is the name.
    """
    chat.open(chat.manager.branch(chat.session.id, messages, name))
    return Switched(f"Session {chat.session.name}, a branch with {pluralize(chat.session.message_count, 'message')}.")


@command("session archive")
def archive(chat: Chat, session: SessionKey | None = None) -> CommandResult:
    """Keep a session, by default the current one, compressed until its next message; it can be read as before."""
    archived = chat.manager.archive(session or chat.session.id)
    if archived.id == chat.session.id:
        chat.open(archived)
    return Text(f"Session {archived.name} is in the archive until its next message.")


@command("session backup")
def backup(chat: Chat) -> CommandResult:
    """Back up the current session as it is now."""
    return Text(f"Wrote {chat.environment.storage.backups.save(chat.session.id)}")


@command("undo")
def undo(chat: Chat) -> CommandResult:
    """Undo what was last renamed, cleared, truncated or deleted here; ten times at most.

    Undoing cannot be undone itself.
    """
    undone = chat.manager.undo()
    info = undone.record.info
    if undone.operation != "delete" and info.id != chat.session.id:
        return Text(str(undone))
    chat.open(chat.manager.get(info.id))
    return Text(str(undone)) if undone.operation == "rename" else Switched(str(undone))


@command("session duplicate")
def duplicate(chat: Chat, name: FreeText | None = None) -> CommandResult:
    """Copy the current session under another name and go to the copy."""
    chat.open(chat.manager.duplicate(chat.session.id, name))
    return Switched(f"Session {chat.session.name}, a copy.")


@command("session export")
def export(
    chat: Chat,
    kind: ExportFormat = "markdown",
    path: FilePath | None = None,
) -> CommandResult:
    """Write the current session to a file, by default into the environment's exports.

    A file that exists already is not overwritten.
    """
    from prompt_objects.sessions.formats import export_to

    written = export_to(chat.session, kind, _as_path(path) if path else None, chat.environment.data_dir / "exports")
    return Text(f"Wrote {written}")


def _in_use(chat: Chat, session: Session) -> str:
    """Say who else has an answer written in a session, and what would come of that after a deletion."""
    holder = chat.holder_of(session)
    if holder is None:
        return ""
    return f"{session.name} is in use by {holder}, and what is answered there brings it back from the trash. "


def _as_path(typed: str) -> Path:
    if "\0" in typed:
        raise UsageError(f"{typed!r} is no path.", hint="Give another path.")
    try:
        return Path(typed).expanduser()
    except RuntimeError as error:  # ~name of nobody
        raise UsageError(f"{typed!r} is no path: {error}", hint="Give another path.") from error
