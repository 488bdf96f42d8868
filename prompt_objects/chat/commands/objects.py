"""Commands about prompt objects and their models."""

from prompt_objects.chat.chat import Chat
from prompt_objects.chat.commands import ModelName, ObjectName, slash_command
from prompt_objects.chat.results import CommandResult, Switched, Table, Text
from prompt_objects.utils.text import pluralize

MAX_LISTED = 40
"""Models that /model lists; some servers have hundreds."""
TITLE = "Prompt objects and models"


@slash_command("objects", anytime=True, is_common=True, aliases=("agents",), suggested_for=("tools",))
def objects(chat: Chat) -> CommandResult:
    """List the prompt objects of this environment, and the errors of invalid definitions."""
    known = chat.environment.objects
    rows = [
        (name, f"invalid: {error}" if (error := po.definition_error) else po.description)
        for name, po in known.items()
    ]
    rows += [("", f"invalid: {error}") for error in chat.environment.catalog.files()[1]]
    mark = list(known).index(chat.po.name) if chat.po.name in known else None
    return Table("Prompt objects", ("name", "description"), rows, mark)


@slash_command("po", anytime=True, is_common=True, aliases=("agent", "use"))
def po(chat: Chat, name: ObjectName) -> CommandResult:
    """Switch to another prompt object: to the session of its running turn, else to its last used session."""
    chat.switch_object(name)
    session = chat.session
    text = f"Switched to {chat.po.name}, session {session.name}, {pluralize(session.message_count, 'message')}."
    if error := chat.po.definition_error:
        text += f"\nIts definition is invalid, so it cannot reply yet: {error}\n{error.hint}".rstrip()
    return Switched(text)


@slash_command("model", is_common=True, aliases=("models",))
def model(chat: Chat, name: ModelName | None = None) -> CommandResult:
    """List the models, or use another one for every prompt object.

    The name is one of the models in environment.yaml, a model of the server in use, a provider whose key is set, such
    as `anthropic`, or `rehearsal`, the built-in offline model. `groq/ID` is a model of a provider by its ID.
    """
    models, definition = chat.environment.models, chat.po.definition
    if name is not None:
        return Text(str(models.select(name, definition)))
    rows = models.choices(definition)
    names = [name for name, _ in rows[:MAX_LISTED]]
    current = models.connected_model(definition)
    if len(rows) > MAX_LISTED:
        rows = [*rows[:MAX_LISTED], ("…", f"{len(rows) - MAX_LISTED} more: type /model and press Tab")]
    return Table(
        chat.describe_model(), ("name", "model or server"), rows, names.index(current) if current in names else None
    )
