"""From options to what they mean: the environment, the prompt object, the session."""

import os
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path

from prompt_objects.cli.streams import print_err
from prompt_objects.environment.environment import Environment, PromptObject
from prompt_objects.environment.locate import is_environment, locate, personal_folder
from prompt_objects.environment.starter import make_environment
from prompt_objects.errors import Ambiguous, NotFound, UsageError
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.utils.text import did_you_mean

__all__ = [
    "environment_folder",
    "find_session",
    "manager_for",
    "object_name",
    "open_conversation",
    "open_environment",
]


def environment_folder(options: Namespace) -> Path:
    """Return the folder of the environment that is meant: the person's own, which may not be there yet, at last."""
    return locate(options.env, os.environ) or personal_folder()


def open_environment(options: Namespace) -> Environment:
    """Open the environment that is meant; make the person's own at first use, and say so."""
    folder = environment_folder(options)
    if not is_environment(folder):
        make_environment(folder)
        print_err(f"Made your environment, with a few prompt objects to begin with: {folder}")
    allow: list[str] = getattr(options, "allow", None) or []
    environment = Environment.open(folder, model=options.model, store=options.store, allow=allow)
    _check_allowed(environment, allow)
    for notice in environment.notices:
        print_err(notice)
    return environment


def _check_allowed(environment: Environment, names: Iterable[str]) -> None:
    """Raise `UsageError` where there is no tool of a name; those of MCP servers are known only when they run."""
    servers = tuple(f"{server}_" for server in environment.config.mcp_servers)
    for name in names:
        toolbox = environment.capabilities.tool_registry
        if name not in toolbox.tools and not name.startswith(servers):
            hint = did_you_mean(name, toolbox.tools) or " ".join(toolbox.notices) or "It may have another name."
            raise UsageError(f"--allow {name}: there is no tool of that name.", hint=hint)


def open_conversation(options: Namespace, environment: Environment) -> tuple[PromptObject, Session]:
    """Return the prompt object and the session that are meant, by default those last used."""
    named = object_name(options)
    if options.session is None:
        po = environment[named] if named else environment.current_object
        session = po.session_manager.current()
    else:
        session = find_session(environment, named, options.session)
        po = environment[session.po_name]
        po.session_manager.switch(session.id)
    environment.storage.last_used.use_object(po.name)
    return po, session


def object_name(options: Namespace) -> str | None:
    """Return the name of the prompt object that was named, if one was."""
    if options.object and options.po and options.object != options.po:
        raise UsageError(f"Two prompt objects are named: {options.object} and {options.po}.")
    name: str | None = options.object or options.po
    return name


def find_session(environment: Environment, po_name: str | None, key: str) -> Session:
    """Find a session by id, prefix, name or file: of one object, else of the current one, else of any."""
    if _is_file(key):
        session = environment.session_manager.open_file(Path(key))
        if po_name and session.po_name != po_name:
            raise UsageError(f"{key} is a session of {session.po_name}, not of {po_name}.")
        return session
    try:
        return _session_called(environment, po_name, key)
    except Ambiguous:
        raise
    except NotFound as error:
        if not key.endswith(".json"):
            raise
        hint = f"Session files are in {environment.data_dir / 'sessions'}."
        raise NotFound(f"There is neither a file nor a session {key!r}.", hint=hint) from error


def _session_called(environment: Environment, po_name: str | None, key: str) -> Session:
    if po_name:
        return environment[po_name].session_manager.get(key)
    try:
        return environment.current_object.session_manager.get(key)
    except NotFound:
        return environment.session_manager.get(key)


def _is_file(key: str) -> bool:
    """Tell a session's file from its name, which may hold a slash as well."""
    try:
        return (key.endswith(".json") or os.sep in key) and Path(key).is_file()
    except OSError:  # a name longer than those of files
        return False


def manager_for(options: Namespace, environment: Environment) -> SessionManager:
    """Return the sessions of the prompt object that was named, or of all."""
    return environment[options.object].session_manager if options.object else environment.session_manager
