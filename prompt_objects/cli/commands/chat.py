"""`prompt-objects` without a command's name, and `prompt-objects chat`: chat, or send one message."""

import os
import sys
from argparse import Namespace
from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from prompt_objects._version import __version__
from prompt_objects.cli.command import OBJECT, argument, shell_command, whole_number
from prompt_objects.cli.streams import print_err, print_out, read_input
from prompt_objects.errors import NotSaved, PromptObjectsError, UsageError

if TYPE_CHECKING:
    from prompt_objects.environment.environment import Environment

T = TypeVar("T")
_OUTPUT = "prompt_objects.cli.send:ReplyJson"  # a name, since the module is slow to load
_ARGUMENTS = (
    argument("-p", "--prompt", metavar="TEXT", help="send one message, after standard input, and print the reply"),
    OBJECT,
    argument("--session", metavar="KEY", help="a session: its id, the start of its id, its name or its file"),
    argument("--model", metavar="NAME", help="the model of every prompt object; 'rehearsal' works offline"),
    argument(
        "--wait",
        nargs="?",
        type=whole_number,
        default=0,
        metavar="SECONDS",
        help="if the session is in use, wait until it is free; without a number, wait without limit",
    ),
    argument(
        "--allow",
        action="append",
        metavar="TOOL",
        help="run this tool without asking for approval, unless it is forbidden; may be repeated",
    ),
    argument("--pin", action="store_true", help="continue with the prompt and model of the session's last answer"),
    argument("--branch", action="store_true", help="if the session is in use, send the message in a branch of it"),
)


@shell_command(
    "",
    *_ARGUMENTS,
    argument("--list-sessions", action="store_true", help="the same as: sessions list"),
    argument("--version", action="version", version=f"prompt-objects {__version__}", help="show the version"),
    output=_OUTPUT,
    examples=("-p 'Which files are here?' --object scout", "--session 'Plan B'"),
)
def default(options: Namespace) -> None:
    """Chat with prompt objects, and watch them send messages to each other.

    Without a command, the last used session is opened, or standard input is sent as a message.
    """
    _run(options)


@shell_command(
    "chat", argument("po", nargs="?", metavar="OBJECT", help="the prompt object"), *_ARGUMENTS, output=_OUTPUT
)
def chat(options: Namespace) -> None:
    """Chat in the terminal, or send a message."""
    _run(options)


def _run(options: Namespace) -> None:
    message = _message(options.prompt)
    if message is None and (options.branch or options.wait != 0):
        raise UsageError("--wait and --branch need a message.", hint="Usage: prompt-objects -p TEXT --wait")
    if message is None and not (sys.stdin.isatty() and sys.stdout.isatty()):
        _print_overview(options)
        return
    from prompt_objects.cli.targets import open_conversation, open_environment

    environment = open_environment(options, may_ask=message is None)
    po, session = open_conversation(options, environment)
    if message is None:
        from prompt_objects.chat.chat import Chat
        from prompt_objects.ui.line.repl import run as run_repl

        _run_until_signal(run_repl(Chat(environment, po, session)), environment)
    else:
        from prompt_objects.cli.send import print_reply, send_while_read

        print_err(*filter(None, (*environment.storage.unsaved_notices(), po.change_notice(session))))
        try:
            reply = _run_until_signal(send_while_read(environment, po, session, message, options), environment)
        except NotSaved as error:
            print_reply(error.reply, options, saved=False)
            raise
        print_reply(reply, options)


def _message(prompt: str | None) -> str | None:
    """Return the message to send, if any: standard input, unless it is a terminal, then the text."""
    piped = "" if sys.stdin.isatty() else read_input()
    try:
        text = os.fsencode(prompt or "").decode()  # the locale's encoding may have been another one
    except UnicodeError as error:
        raise UsageError("The message is not UTF-8 text.", hint="Nothing was sent.") from error
    parts = [part for part in (piped.strip("\n"), text) if part.strip()]
    if prompt is not None and not parts:
        raise UsageError("The message is empty.", hint="Usage: prompt-objects -p TEXT")
    return "\n\n".join(parts) if parts else None


def _run_until_signal(work: Coroutine[Any, Any, T], environment: "Environment") -> T:
    """Run `work`, and close the environment. SIGTERM and SIGHUP cancel it as Ctrl-C does, without losing text.

    Nothing waits for other processes after that.
    """
    import asyncio
    import signal

    from prompt_objects.cli.unhandled import print_cleanly
    from prompt_objects.utils import waiting

    print_cleanly()

    async def run() -> T:
        async with environment:
            with waiting.work() as whole:
                task = asyncio.ensure_future(work)

            def stop() -> None:
                whole.give_up()
                task.cancel()

            for name in ("SIGINT", "SIGTERM", "SIGHUP"):
                if hasattr(signal, name):
                    asyncio.get_running_loop().add_signal_handler(getattr(signal, name), stop)
            try:
                return await task
            finally:
                whole.give_up()

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _print_overview(options: Namespace) -> None:
    """Print what would be opened, and how to send a message. Nothing is created or saved."""
    from prompt_objects.cli.json_output import format_table, print_lines
    from prompt_objects.cli.targets import environment_folder, open_environment
    from prompt_objects.environment.locate import is_environment

    folder = environment_folder(options)
    if is_environment(folder):
        with open_environment(options, reading=True) as environment:
            manifest = environment.config.manifest
            title = f"{manifest.name}, {folder}" if manifest else str(folder)
            about = [("description", manifest.description)] if manifest and manifest.description else []
            rows = [("environment", title), *about, *_rows(options, environment)]
    else:
        rows = [("environment", f"{folder}, new, with the starter objects")]
    print_lines(format_table(rows))
    print_out("\nSend a message:   prompt-objects -p 'Hello'      or   echo Hello | prompt-objects")
    print_out("Chat:             run prompt-objects in a terminal")


def _rows(options: Namespace, environment: "Environment") -> Iterator[tuple[str, str]]:
    from prompt_objects.cli.targets import find_conversation
    from prompt_objects.utils.text import pluralize

    po, session = find_conversation(options, environment)
    yield "objects", ", ".join(environment.catalog.names())
    yield "sessions", pluralize(len(environment.session_manager.list()), "session")
    described = f"{session.name}, {pluralize(session.message_count, 'message')}" if session else "Default, new"
    yield "would open", f"{po.name}, session {described}"
    try:
        connection = environment.models.connection_for(po.definition)
        yield "model", f"{connection.llm.model}: {connection.origin}"
    except PromptObjectsError as error:
        yield "model", f"none: {error}"
    for finding in environment.errors_and_notices():
        yield "note", finding
