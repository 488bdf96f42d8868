"""Resolution of options: the environment, the prompt object and the session that a command works on."""

import os
from argparse import Namespace
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_objects.cli.streams import print_err
from prompt_objects.errors import Ambiguous, NotFound, UsageError
from prompt_objects.utils.text import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prompt_objects.environment.environment import Environment
    from prompt_objects.environment.prompt_object import PromptObject
    from prompt_objects.sessions.manager import SessionManager
    from prompt_objects.sessions.session import Session


def environment_folder(options: Namespace) -> Path:
    """Return the environment's folder: the given or nearest one, else the user's own, which may not exist yet."""
    from prompt_objects.environment.locate import locate, personal_folder

    notices: list[str] = []
    folder = locate(options.env, os.environ, notices=notices)
    print_err(*notices)
    return folder or personal_folder()


def open_environment(options: Namespace, *, reading: bool = False, may_ask: bool = False) -> "Environment":
    """Open the environment and print its notices; create the user's own at first use.

    It is also `options.environment`, whose later notices `cli.main` prints. With `reading`, nothing is created,
    changed or migrated; with `may_ask`, the user is asked once whether to trust an environment that is restricted.
    """
    from prompt_objects.environment.environment import Environment
    from prompt_objects.environment.locate import is_environment, personal_folder, require_environment

    folder = environment_folder(options)
    if folder == personal_folder() and not is_environment(folder):
        if reading:
            require_environment(folder)
        from prompt_objects.environment.starter import make_environment

        make_environment(folder)
        print_err(f"Created your environment with the starter objects: {folder}")
    allow: list[str] = getattr(options, "allow", None) or []
    model = getattr(options, "model", None)
    choices = {
        "model": model,
        "store": options.store,
        "allow": allow,
        "trust": options.trust,
        "pin": getattr(options, "pin", False),  # only commands that send messages have it
    }
    open_it = partial(Environment.open, folder, **choices, read_only=reading)
    environment = open_it()
    if may_ask and _is_trusted_now(environment):
        environment.close()
        environment = open_it()
    options.environment = environment
    for name in allow:  # only then, since loading the tools takes longer than everything else before the first prompt
        from prompt_objects.utils.text import did_you_mean

        loaded = environment.capabilities.loaded_tools
        servers = tuple(f"{server}_" for server in environment.config.mcp_servers)  # whose tools are not known yet
        if name not in loaded.tools and not name.startswith(servers):
            hint = did_you_mean(name, loaded.tools) or " ".join(loaded.notices) or "Check its spelling."
            raise UsageError(f"--allow {name}: there is no tool with that name.", hint=hint)
    print_err(*environment.notices)
    return environment


def _is_trusted_now(environment: "Environment") -> bool:
    """Ask the user about a restricted environment, unless that was done; return whether the user trusts it."""
    grants = environment.authority.grants
    if not environment.authority.is_restricted or not grants:
        return False
    from prompt_objects.cli.trust_question import ask
    from prompt_objects.environment.trust import Trust

    decision = Trust.of_user().decision(environment.folder)
    is_asked = bool(decision.grants) and decision.is_about(grants)
    return not is_asked and ask(environment.folder, decision, grants)


def open_conversation(options: Namespace, environment: "Environment") -> "tuple[PromptObject, Session]":
    """Find or create the conversation, and record it as the last used one."""
    po, found = find_conversation(options, environment)
    session = found or po.session_manager.current()
    environment.storage.last_used.use_session(po.name, session.id)
    environment.storage.last_used.use_object(po.name)
    return po, session


def find_conversation(options: Namespace, environment: "Environment") -> "tuple[PromptObject, Session | None]":
    """Return the prompt object and the session to chat in, by default the last used ones.

    The session is None if the prompt object has none.
    """
    po: str | None = getattr(options, "po", None)
    name: str | None = options.object or po
    if po and name != po:
        raise UsageError(f"Two prompt objects are given: {name} and {po}.", hint="Give one.")
    if options.session is not None:
        session = find_session(environment, name, options.session)
        return environment[session.po_name], session
    chosen = environment[name] if name else environment.current_object
    return chosen, chosen.session_manager.find_current()


@contextmanager
def open_session(options: Namespace, *, reading: bool = False) -> "Iterator[tuple[Environment, Session]]":
    """Open the environment, and yield it with the session that the argument KEY refers to."""
    with open_environment(options, reading=reading) as environment:
        yield environment, find_session(environment, options.object, options.key)


def find_session(environment: "Environment", po_name: str | None, key: str) -> "Session":
    """Return the session with this id, start of an id, name or file.

    The sessions of `po_name` are searched, by default those of the last used object and then all. Raises `NotFound`,
    or `Ambiguous` if several sessions match.
    """
    may_be_path = key.endswith(".json") or os.sep in key  # a session's name may contain a slash, too
    if may_be_path and os.path.isfile(key):  # noqa: PTH113 - False also for a name that is too long for a file
        session = environment.session_manager.open_file(Path(key))
        if po_name and session.po_name != po_name:
            raise UsageError(f"{key} is a session of {session.po_name}, not of {po_name}.")
        return session
    try:
        if po_name:
            return environment[po_name].session_manager.get(key)
        with suppress(NotFound):
            return environment.current_object.session_manager.get(key)
        return environment.session_manager.get(key)
    except NotFound as error:
        if isinstance(error, Ambiguous) or not key.endswith(".json"):
            raise
        hint = f"Session files are in {environment.data_dir / 'sessions'}."
        raise NotFound(f"There is neither a file nor a session {quoted(key)}.", hint=hint) from error


def session_manager_for(options: Namespace, environment: "Environment") -> "SessionManager":
    """Return the manager of the sessions of the given prompt object, by default of all."""
    return environment[options.object].session_manager if options.object else environment.session_manager
