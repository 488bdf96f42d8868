"""From options to what they mean: the environment, the prompt object, the session."""

import os
import sys
from argparse import Namespace
from pathlib import Path

from prompt_objects.environment import Environment
from prompt_objects.errors import NotFound, UsageError
from prompt_objects.locate import is_environment, locate, personal_folder
from prompt_objects.prompt_object import PromptObject
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.session import Session
from prompt_objects.starter import make_environment

__all__ = ["find_session", "manager_for", "note", "open_conversation", "open_environment"]


def note(text: str) -> None:
    """Tell the person something that is not the answer."""
    from prompt_objects.ui.sanitize import clean_line

    print(clean_line(text), file=sys.stderr)


def open_environment(options: Namespace) -> Environment:
    """Open the environment that is meant; make the person's own at first use, and say so."""
    folder = locate(options.env, os.environ, Path.cwd())
    if folder is None:
        folder = personal_folder()
        if not is_environment(folder):
            make_environment(folder)
            note(f"Made your environment, with a few prompt objects to begin with: {folder}")
    return Environment.open(folder, model=options.model)


def open_conversation(options: Namespace, environment: Environment) -> tuple[PromptObject, Session]:
    """Return the prompt object and the session that are meant, by default those last used."""
    named = options.object or options.po
    if options.object and options.po and options.object != options.po:
        raise UsageError(f"Two prompt objects are named: {options.object} and {options.po}.")
    if options.session is None:
        po = environment[named] if named else environment.current_object
        session = po.session_manager.current()
    else:
        session = find_session(environment, named, options.session)
        po = environment[session.po_name]
        po.session_manager.switch(session.id)
    environment.store.last_used.use_object(po.name)
    return po, session


def find_session(environment: Environment, po_name: str | None, key: str) -> Session:
    """Find a session by id, prefix, name or file: of one object, else of the current one, else of any."""
    if key.endswith(".json") or os.sep in key:
        session = environment.session_manager.open_file(Path(key))
        if po_name and session.po_name != po_name:
            raise UsageError(f"{key} is a session of {session.po_name}, not of {po_name}.")
        return session
    if po_name:
        return environment[po_name].session_manager.get(key)
    try:
        return environment.current_object.session_manager.get(key)
    except NotFound:
        return environment.session_manager.get(key)


def manager_for(options: Namespace, environment: Environment) -> SessionManager:
    """Return the sessions of the prompt object that was named, or of all."""
    return environment[options.object].session_manager if options.object else environment.session_manager
