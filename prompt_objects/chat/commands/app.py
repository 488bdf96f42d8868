"""Commands about the conversation and the program."""

import re
from collections.abc import Sequence
from itertools import groupby

from prompt_objects.chat import commands
from prompt_objects.chat.chat import Chat
from prompt_objects.chat.commands import CommandName, SlashCommand, slash_command
from prompt_objects.chat.results import CommandResult, Document, Quit, Table

TITLE = "Program"
_CLAUSE_END = re.compile(r"[:;]|, (?:and|by|most) ")


@slash_command("help", anytime=True, is_common=True, aliases=("?", "h", "commands"), bare_words=("help",))
def help_(_chat: Chat, command: CommandName | None = None) -> CommandResult:
    """List the commands, or describe one."""
    if command is None:
        return _overview(list(commands.all_commands().values()))
    name = command.strip().removeprefix("/")
    if subcommands := commands.subcommands_of(name):
        return Table(f"/{name}", ("", ""), [(each.usage, each.summary) for each in subcommands])
    found, _ = commands.find(name)
    also = f"Also: {', '.join(f'`/{alias}`' for alias in found.aliases)}." if found.aliases else ""
    return Document("\n\n".join(filter(None, (f"`{found.usage}`", found.summary, found.help, also))))


def _overview(known: Sequence[SlashCommand]) -> Table:
    """Describe the common commands in short, and name the others, so that all of it fits on a screen."""
    rows = [
        (each.usage, f"{_CLAUSE_END.split(each.summary)[0].removesuffix('.')}.") for each in known if each.is_common
    ]
    others = sorted((each for each in known if not each.is_common), key=lambda each: each.title)
    sections = {0: "Most used", len(rows): "Others"}
    rows += [(title, _names(list(group))) for title, group in groupby(others, key=lambda each: each.title)]
    return Table("Commands; /help NAME describes one", ("", ""), rows, sections=sections)


def _names(listed: Sequence[SlashCommand]) -> str:
    """Return the names of commands, the subcommands together: `/undo; /session clear, rename`."""
    names = ", ".join(f"/{each.name}" for each in listed if " " not in each.name)
    inner = groupby((each.name for each in listed if " " in each.name), key=lambda name: name.partition(" ")[0])
    groups = (f"/{first} {', '.join(name.partition(' ')[2] for name in group)}" for first, group in inner)
    return "; ".join(filter(None, (names, *groups)))


@slash_command("quit", is_common=True, aliases=("exit", "q", "bye"), bare_words=("exit", "quit", ":q", "bye"))
def quit_(_chat: Chat) -> CommandResult:
    """Leave the program; everything is saved already."""
    return Quit()
