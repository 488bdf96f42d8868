"""Commands about the conversation and the program."""

from prompt_objects.chat import commands
from prompt_objects.chat.chat import Chat
from prompt_objects.chat.commands import CommandName, slash_command
from prompt_objects.chat.results import CommandResult, Document, Quit

BAR = "\\|"  # a bar inside a cell of a Markdown table


@slash_command("help", anytime=True)
def help_(_chat: Chat, command: CommandName | None = None) -> CommandResult:
    """List all commands, or describe one."""
    if command is None:
        rows = [f"| `{each.usage.replace('|', BAR)}` | {each.summary} |" for each in commands.all_commands().values()]
        return Document("\n".join(["| command | what it does |", "|---|---|", *rows]))
    found, _ = commands.find(command)
    return Document(f"`{found.usage}`\n\n{found.summary}\n\n{found.help}".strip())


@slash_command("quit")
def quit_(_chat: Chat) -> CommandResult:
    """Leave the program; everything is saved already."""
    return Quit()
