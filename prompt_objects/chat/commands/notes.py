"""The command about the notes that prompt objects share."""

from prompt_objects.chat.chat import Chat
from prompt_objects.chat.commands import FreeText, command
from prompt_objects.chat.results import CommandResult, Table, Text
from prompt_objects.errors import NotFound
from prompt_objects.utils.text import did_you_mean, time_ago


@command("notes", anytime=True)
def notes(chat: Chat, name: FreeText | None = None) -> CommandResult:
    """List the notes that prompt objects keep for this conversation, or show one.

    All sessions that its calls started share the notes.
    """
    from prompt_objects.tools.builtin.notes import read_notes

    known = {note.name: note for note in read_notes(chat.workspace)}
    if name is None:
        rows = [(note.name, note.writer, time_ago(note.at), note.text) for note in known.values()]
        return Table("Notes", ("name", "by", "when", "text"), rows)
    if name not in known:
        hint = did_you_mean(name, known) or f"There are: {', '.join(known) or 'none'}."
        raise NotFound(f"There is no note {name!r}.", hint=hint)
    return Text(f"{known[name].writer}, {time_ago(known[name].at)}:\n{known[name].text}")
