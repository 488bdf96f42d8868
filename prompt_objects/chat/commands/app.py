"""Commands about the conversation and the program."""

from prompt_objects.chat import commands
from prompt_objects.chat.chat import Chat
from prompt_objects.chat.command import CommandName, command
from prompt_objects.chat.results import CommandResult, Document, Quit, Retry

BAR = "\\|"  # a bar inside a cell of a Markdown table


@command("help", anytime=True)
def help_(_chat: Chat, command: CommandName | None = None) -> CommandResult:
    """Show all commands, or tell more about one."""
    if command is None:
        rows = [f"| `{each.usage.replace('|', BAR)}` | {each.summary} |" for each in commands.all_commands().values()]
        return Document("\n".join(["| command | what it does |", "|---|---|", *rows]))
    found, _ = commands.find(command)
    return Document(f"`{found.usage}`\n\n{found.summary}\n\n{found.help}".strip())


@command("retry")
def retry(_chat: Chat) -> CommandResult:
    """Have the last message answered anew.

    The old answer stays in the session's file, but no longer counts.
    """
    return Retry(anew=True)


@command("quit")
def quit_(_chat: Chat) -> CommandResult:
    """Leave; everything is saved already."""
    return Quit()
