"""The output of `prompt-objects` without a terminal and without a message. It creates and saves nothing."""

from argparse import Namespace
from collections.abc import Iterator

from prompt_objects.cli.streams import print_out
from prompt_objects.cli.targets import environment_folder, find_session, object_name, open_environment
from prompt_objects.environment.environment import Environment, PromptObject
from prompt_objects.environment.locate import is_environment
from prompt_objects.errors import PromptObjectsError
from prompt_objects.sessions.info import SessionInfo
from prompt_objects.ui.render.sanitize import clean_line
from prompt_objects.utils.text import pluralize


def print_overview(options: Namespace) -> None:
    """Print the environment, the session and the model that would be opened, and how to send a message."""
    folder = environment_folder(options)
    if is_environment(folder):
        with open_environment(options) as environment:
            rows = [("environment", str(folder)), *_rows(options, environment)]
    else:
        rows = [("environment", f"{folder}, new, with a few prompt objects to start with")]
    for title, value in rows:
        print_out(f"{title:12} {clean_line(value)}")
    print_out("\nSend a message:   prompt-objects -p 'Hello'      or   echo Hello | prompt-objects")
    print_out("Chat:             run prompt-objects in a terminal")


def _rows(options: Namespace, environment: Environment) -> Iterator[tuple[str, str]]:
    po, session = _find_conversation(options, environment)
    yield "objects", ", ".join(environment.catalog.names())
    yield "sessions", pluralize(len(environment.session_manager.list()), "session")
    described = f"{session.name}, {pluralize(session.message_count, 'message')}" if session else "Default, new"
    yield "would open", f"{po.name}, session {described}"
    try:
        connection = environment.models.connection_for(po.definition)
        yield "model", f"{connection.llm.model}: {connection.origin}"
    except PromptObjectsError as error:
        yield "model", f"none: {error}"
    for finding in environment.problems():
        yield "note", finding


def _find_conversation(options: Namespace, environment: Environment) -> tuple[PromptObject, SessionInfo | None]:
    """Return what `open_conversation` would open; None for a session that it would create."""
    name = object_name(options)
    if options.session is not None:
        info = find_session(environment, name, options.session).info
        return environment[info.po_name], info
    po = environment[name] if name else environment.current_object
    last = environment.storage.last_used.last_session(po.name)
    infos = po.session_manager.list()
    top_level = (info for info in infos if info.parent is None)
    return po, next((info for info in infos if info.id == last), next(top_level, None))
