"""Selection of a model: the named one, the configured one, a local server's, or the rehearsal."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from prompt_objects.errors import Unreachable
from prompt_objects.llm.connection import ModelConnection
from prompt_objects.llm.local_servers import LocalServer, find_local_server
from prompt_objects.llm.model_listing import LOADING, SLOW, UNREACHABLE
from prompt_objects.llm.model_server import ModelServer
from prompt_objects.llm.pricing import Pricing, given_pricing, known_pricing, no_pricing
from prompt_objects.llm.providers import OPENAI, PROVIDERS, providers_with_key
from prompt_objects.llm.rehearsal import Rehearsal

if TYPE_CHECKING:
    from prompt_objects.config.environment import Config
    from prompt_objects.config.environment_schema import ModelConfig


NO_MODEL = "no model is set up; set a key such as OPENAI_API_KEY, or start a local model server"
_FIRST_MODEL_SECONDS = 10.0  # only the server knows the names of its models
_FindLocal: TypeAlias = Callable[[], LocalServer | None]
_ServerModel: TypeAlias = tuple[ModelServer, str]


class NotReady(Unreachable):
    """A server on this machine is there, but cannot respond yet; a slow one `may_be_another` program's."""

    def __init__(self, place: str, base_url: str, problem: str) -> None:
        super().__init__(f"{place} {problem}.", hint="Try again in a moment.")
        self.base_url = base_url
        self.may_be_another = problem == SLOW


def connect(
    name: str | None, config: "Config", environ: Mapping[str, str], *, find_local: _FindLocal = find_local_server
) -> ModelConnection:
    """Return the model called `name`, or the configured model if `name` is None.

    A name is `rehearsal`, a key of the config's models, a provider, a provider with a model ID (`groq/ID`), or a
    model ID; `default` counts as None unless it is such a key. May contact servers, so it may block. Raises
    `UsageError` for an address that is not a URL, and `NotReady`. Any other problem with a server or a key is raised
    only when a turn begins.
    """
    name = chosen_name(name, config, environ)
    if name in config.models:
        model = config.models[name]
        pricing = given_pricing(model.prices) if model.prices else None
        return connect_to(*_configured_model(model, environ), pricing)
    if name == "rehearsal":
        return ModelConnection(Rehearsal(), "offline, without a model")
    if not name:
        return _connect_first_available(environ, find_local)
    found = _keyed_model(name, environ) or _local_model(name, find_local) or _keyless_model(name, environ)
    return connect_to(*found)


def connect_to(server: ModelServer, model: str, pricing: Pricing | None = None) -> ModelConnection:
    """Return a model of a server; without `pricing`, public prices apply if there is a key."""
    llm = server.llm(model)
    if pricing is None:
        pricing = known_pricing(model, server.base_url) if server.api_key else no_pricing
    return ModelConnection(llm, str(server), pricing, server)


def chosen_name(name: str | None, config: "Config", environ: Mapping[str, str]) -> str:
    """Return the name of the model that `connect` selects, `name` or the configured one; empty if there is none."""
    if not name or (name == "default" and name not in config.models):
        name = config.model or _openai_model(environ)
    return "" if name == "default" and name not in config.models else name


def has_known_price(name: str | None, config: "Config", environ: Mapping[str, str]) -> bool:
    """Return whether prices are known for the model that `connect` returns, without contacting a server.

    Returns True if the model depends on a server, or if a key is missing. Do not call this on the event loop: it may
    load public prices.
    """
    name = chosen_name(name, config, environ)
    if name in config.models:
        server, model = _configured_model(config.models[name], environ)
        is_public = bool(server.key_name) and known_pricing(model, server.base_url) is not no_pricing
        return config.models[name].prices is not None or is_public
    if not name and not _has_base_url(environ):
        name = next(iter(providers_with_key(environ)), "")
    if name in {"", "rehearsal"}:
        return True
    server, model = _keyed_model(name, environ) or _keyless_model(name, environ)
    return known_pricing(model, server.base_url) is not no_pricing


def _openai_model(environ: Mapping[str, str]) -> str:
    """Return the model in OPENAI_MODEL; empty if only keys of other providers are set, which do not have it."""
    keyed = providers_with_key(environ)
    is_of_others = bool(keyed) and "openai" not in keyed and not _has_base_url(environ)
    return "" if is_of_others else environ.get("OPENAI_MODEL", "")


def _connect_first_available(environ: Mapping[str, str], find_local: _FindLocal) -> ModelConnection:
    if _has_base_url(environ):
        server = _server_of("openai", environ)
        listing = server.list_models(_FIRST_MODEL_SECONDS)
        if listing.problem == LOADING:
            raise NotReady(str(server), server.base_url, LOADING)
        connection = connect_to(server, listing.chat[0] if listing.chat else OPENAI.model)
        return replace(connection, is_provisional=listing.problem == UNREACHABLE)
    if keyed := next(iter(providers_with_key(environ)), None):
        return connect_to(_server_of(keyed, environ), PROVIDERS[keyed].model)
    if local := _ready_server(find_local):
        return connect_to(ModelServer(local.base_url, label=local.name), local.listing.chat[0])
    return ModelConnection(Rehearsal(), NO_MODEL, is_stand_in=True, is_provisional=True)


def _configured_model(model: "ModelConfig", environ: Mapping[str, str]) -> _ServerModel:
    """Return a model of the config; the key of a provider is sent elsewhere only if the config says so."""
    name = model.provider or "openai"
    if not model.base_url:
        server = _server_of(name, environ, key_name=model.api_key_env, timeout=model.timeout)
        return server, model.model or PROVIDERS[name].model
    api_key = environ.get(model.api_key_env, "").strip() if model.api_key_env else None
    return ModelServer(model.base_url, api_key, model.api_key_env, timeout=model.timeout), model.model or ""


def _keyed_model(name: str, environ: Mapping[str, str]) -> _ServerModel | None:
    """Return the default model of a provider, or a model by its ID, at a server whose key or address is set."""
    keyed = providers_with_key(environ)
    provider, _, model = name.partition("/")
    if name in keyed:
        return _server_of(name, environ), PROVIDERS[name].model
    if _has_base_url(environ):
        return _server_of("openai", environ), name
    if provider in keyed and model:
        return _server_of(provider, environ), model
    return (_server_of(next(iter(keyed)), environ), name) if keyed else None


def _local_model(name: str, find_local: _FindLocal) -> _ServerModel | None:
    local = _ready_server(find_local)
    return (ModelServer(local.base_url, label=local.name), name) if local and local.listing.find(name) else None


def _keyless_model(name: str, environ: Mapping[str, str]) -> _ServerModel:
    """Return a model whose key is missing, so that the error names the variable to set."""
    provider, _, model = name.partition("/")
    if provider in PROVIDERS:
        return _server_of(provider, environ), model or PROVIDERS[provider].model
    return _server_of("openai", environ), name


def _ready_server(find_local: _FindLocal) -> LocalServer | None:
    local = find_local()
    if local and local.listing.problem:
        place = str(ModelServer(local.base_url, label=local.name))
        raise NotReady(place, local.base_url, local.listing.problem)
    return local


def _server_of(
    name: str, environ: Mapping[str, str], *, key_name: str | None = None, timeout: float | None = None
) -> ModelServer:
    """Return the server of a provider, by default with the provider's key; OPENAI_BASE_URL moves OpenAI's."""
    provider = PROVIDERS[name]
    found, api_key = (key_name, environ.get(key_name, "").strip()) if key_name else provider.find_key(environ)
    if provider is OPENAI and _has_base_url(environ):
        base_url = environ["OPENAI_BASE_URL"].strip()
        return ModelServer(base_url, api_key, found if api_key else key_name, timeout=timeout)
    return ModelServer(provider.base_url, api_key, found, provider.label, timeout)


def _has_base_url(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("OPENAI_BASE_URL", "").strip())
