"""The grants in environment.yaml."""

import re
from collections.abc import Iterator
from os.path import realpath
from pathlib import Path
from typing import Any

from prompt_objects.config.environment_schema import VARIABLE_PATTERN, is_foreign
from prompt_objects.config.permissions import DEFAULT_POLICIES
from prompt_objects.environment.grants import Grant, make_grant
from prompt_objects.sessions.stores.url import mask_passwords

_INSIDE_STORE = re.compile(r"(files:|sqlite:///)(.+)", re.DOTALL)


def config_grants(data: Any, folder: Path) -> Iterator[Grant]:
    """Yield the grants in the content of environment.yaml, before variables are expanded; it may be invalid."""
    if is_foreign(data):
        return
    for key, value in data.items():
        special = _GRANTS.get(key)
        grants = list(special(value, folder)) if special else []
        yield from grants
        if key not in _EXPANDED_LATER and not grants:
            yield from _uses((key,), value)


def _uses(path: tuple[str, ...], value: Any) -> Iterator[Grant]:
    """Yield a grant if a setting uses variables."""
    if names := sorted(set(_variables(value))):
        variables = ", ".join(f"${{{name}}}" for name in names)
        yield make_grant(f"{'.'.join(path)}: uses {variables}", value, path)


def _models(value: Any, _: Path) -> Iterator[Grant]:
    for name, model in value.items() if isinstance(value, dict) else ():
        given = model if isinstance(model, dict) else {}
        server, variable, provider = (given.get(key) for key in ("base_url", "api_key_env", "provider"))
        server = server or (f"the provider {provider}" if provider else None)
        names = dict.fromkeys([*([variable] if variable else []), *_variables(model)])
        if server or names:
            kind = "variable" if len(names) == 1 else "variables"
            receives = f", with the {kind} {', '.join(map(str, names))}" if names else ""
            target = server or "the server of your own settings"
            yield make_grant(f"models.{name}: messages go to {target}{receives}", model, ("models", name))


def _servers(value: Any, _: Path) -> Iterator[Grant]:
    for name, server in value.items() if isinstance(value, dict) else ():
        given = server if isinstance(server, dict) else {}
        args = given.get("args")
        words = (given.get("command", ""), *(args if isinstance(args, list) else ()))
        does = f"contacts {given['url']}" if given.get("url") else f"runs {' '.join(map(str, words))}"
        values = [each for key in ("env", "headers") if isinstance(each := given.get(key), dict)]
        received = ", ".join(f"{key}={text}" for each in values for key, text in each.items())
        receives = f"; it receives {received}" if received else ""
        hints = "; tools that it declares as read-only run without asking you" if given.get("trust_hints") else ""
        yield make_grant(f"mcp_servers.{name}: {does}{receives}{hints}", server)


def _store(value: Any, folder: Path) -> Iterator[Grant]:
    inside = _INSIDE_STORE.fullmatch(str(value))
    if value is not None and value != "memory:" and not (inside and _is_inside(folder, inside[2])):
        yield make_grant(f"store: sessions are kept in {mask_passwords(str(value))}", value, ("store",))


def _data_dir(value: Any, folder: Path) -> Iterator[Grant]:
    if value is not None and not _is_inside(folder, str(value)):
        yield make_grant(f"data_dir: sessions and other data are kept in {value}", value, ("data_dir",))


def _approval(value: Any, _: Path) -> Iterator[Grant]:
    for effect, policy in value.items() if isinstance(value, dict) else ():
        if policy == "always" and DEFAULT_POLICIES.get(effect) != "always":
            text = f"approval: tools with the effect {effect} run without asking you"
            yield make_grant(text, [effect, policy], ("approval", effect))
        else:
            yield from _uses(("approval", effect), policy)


def _http_allow(value: Any, _: Path) -> Iterator[Grant]:
    if value:
        hosts = ", ".join(map(str, value)) if isinstance(value, list) else value
        yield make_grant(f"http_allow: http_get may reach {hosts}", value, ("http_allow",))


def _prune(value: Any, _: Path) -> Iterator[Grant]:
    for name, given in value.items() if isinstance(value, dict) else ():
        if name == "at_start" and given:
            yield make_grant("prune: old data is deleted whenever a chat starts", value, ("prune", "at_start"))
        else:
            yield from _uses(("prune", name), given)


_GRANTS = {
    "models": _models,
    "mcp_servers": _servers,
    "store": _store,
    "data_dir": _data_dir,
    "approval": _approval,
    "http_allow": _http_allow,
    "prune": _prune,
}
_EXPANDED_LATER = {"mcp_servers", "logs"}  # see `environment_schema`


def _variables(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from VARIABLE_PATTERN.findall(value)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _variables(each)
    elif isinstance(value, list):
        for each in value:
            yield from _variables(each)


def _is_inside(folder: Path, path: str) -> bool:
    """Return whether a path of the settings is below the folder, whatever links there are."""
    if VARIABLE_PATTERN.search(path) or path.startswith("~") or "\0" in path:
        return False
    return Path(realpath(folder / path)).is_relative_to(realpath(folder))


def remove_grants(data: Any, folder: Path) -> None:
    """Remove the settings of the grants from the content of environment.yaml, and its choice of models.

    The user's own models are used, to which no other setting adds a name.
    """
    for grant in list(config_grants(data, folder)):
        *parents, key = grant.path or ("",)
        container = data
        for parent in parents:
            container = container[parent]
        container.pop(key, None)
    for key in ("model", "models") if isinstance(data, dict) else ():
        data.pop(key, None)
