"""Commands about sessions."""

from pathlib import Path
from typing import Annotated, TypeAlias

from prompt_objects.chat import Chat
from prompt_objects.commands.command import FilePath, SessionKey, Text, TrashedKey, command
from prompt_objects.commands.outcome import Moved, Outcome, Question, Said, Table
from prompt_objects.errors import UsageError
from prompt_objects.sessions.export import export_to
from prompt_objects.sessions.formats import formats
from prompt_objects.wording import ago, count

ExportFormat: TypeAlias = Annotated[str, formats()]


@command("sessions")
def sessions(chat: Chat) -> Outcome:
    """List the sessions of this prompt object, the latest first.

    Sessions in which other prompt objects asked this one are listed as well; their names begin with the asker's.
    """
    infos = chat.sessions()
    rows = [(info.name, str(info.message_count), ago(info.updated_at), info.id) for info in infos]
    mark = next((row for row, info in enumerate(infos) if info.id == chat.session.id), None)
    return Table(f"Sessions of {chat.po.name}", ("name", "messages", "last used", "id"), rows, mark)


@command("session")
def session(chat: Chat) -> Outcome:
    """Show the current session."""
    info = chat.session.info
    rows = [
        ("name", info.name),
        ("of", info.po_name),
        ("id", info.id),
        ("messages", str(info.message_count)),
        ("tokens", f"{info.prompt_tokens:,} in, {info.completion_tokens:,} out"),
        ("begun", ago(info.created_at)),
        ("last used", ago(info.updated_at)),
    ]
    if info.parent:
        rows.append(("asked from", info.parent.session))
    return Table("Current session", ("", ""), rows)


@command("session new")
def new(chat: Chat, name: Text | None = None) -> Outcome:
    """Begin a new session of this prompt object and go to it."""
    chat.open(chat.manager.create(name))
    return Moved(f"New session {chat.session.name}.")


@command("session rename")
def rename(chat: Chat, name: Text) -> Outcome:
    """Give the current session another name."""
    old = chat.session.name
    chat.open(chat.manager.rename(chat.session.id, name))
    return Said(f"Session {old} is now called {chat.session.name}.")


@command("session switch")
def switch(chat: Chat, session: SessionKey) -> Outcome:
    """Go to another session of this prompt object, by its name or the beginning of its id."""
    chat.open(chat.manager.get(session))
    return Moved(f"Session {chat.session.name}, {count(chat.session.message_count, 'message')}.")


@command("session delete")
def delete(chat: Chat, session: SessionKey | None = None) -> Outcome:
    """Move a session, by default the current one, to the trash.

    /session restore brings the last deleted one back.
    """
    doomed = chat.manager.get(session or chat.session.id)

    def yes() -> Outcome:
        chat.manager.delete(doomed.id)
        told = f"Session {doomed.name} is in the trash; /session restore brings it back."
        if doomed.id != chat.session.id:
            return Said(told)
        chat.open(chat.manager.current())
        return Moved(f"{told} Now in {chat.session.name}.")

    return Question(f"Delete session {doomed.name} ({count(doomed.message_count, 'message')})?", yes)


@command("session restore")
def restore(chat: Chat, session: TrashedKey | None = None) -> Outcome:
    """Bring a session back from the trash, by default the last deleted one, and go to it."""
    chat.open(chat.manager.restore(session))
    return Moved(f"Session {chat.session.name} is back, {count(chat.session.message_count, 'message')}.")


@command("session duplicate")
def duplicate(chat: Chat, name: Text | None = None) -> Outcome:
    """Copy the current session under another name and go to the copy."""
    chat.open(chat.manager.duplicate(chat.session.id, name))
    return Moved(f"Session {chat.session.name}, a copy.")


@command("session export")
def export(
    chat: Chat,
    kind: ExportFormat = "markdown",
    path: FilePath | None = None,
) -> Outcome:
    """Write the current session to a file, by default into the environment's exports.

    A file that exists already is not overwritten.
    """
    written = export_to(chat.session, kind, _as_path(path) if path else None, chat.environment.data_dir / "exports")
    return Said(f"Wrote {written}")


def _as_path(typed: str) -> Path:
    if "\0" in typed:
        raise UsageError(f"{typed!r} is no path.", hint="Give another path.")
    try:
        return Path(typed).expanduser()
    except RuntimeError as error:  # ~name of nobody
        raise UsageError(f"{typed!r} is no path: {error}", hint="Give another path.") from error
