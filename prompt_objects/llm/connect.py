"""Selection of a model (the named one, the configured one, a local server's, or the rehearsal) and its prices."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from prompt_objects.errors import (
    BrokenStream,
    ContextTooLong,
    PromptObjectsError,
    RateLimited,
    RegionNotSupported,
    ServerFailed,
    UnknownModel,
    Unreachable,
)
from prompt_objects.llm.base import LLM, Usage
from prompt_objects.llm.local_servers import LOADING, SLOW, UNREACHABLE, LocalServer, find_local_server
from prompt_objects.llm.model_server import ModelServer
from prompt_objects.llm.providers import OPENAI, PROVIDERS, providers_with_key
from prompt_objects.llm.rehearsal import Rehearsal

if TYPE_CHECKING:
    from prompt_objects.config.environment import Config
    from prompt_objects.config.environment_schema import ModelConfig, Prices


NO_MODEL = "no model is set up; set a key such as OPENAI_API_KEY, or start a local model server"
_MILLION = 1_000_000
_FIRST_MODEL_SECONDS = 10.0  # only the server knows the names of its models
# Errors that another model may not have. A rejected key, quota or request is left to the user.
_FALLBACK_ERRORS = (
    BrokenStream,
    ContextTooLong,
    RateLimited,
    RegionNotSupported,
    ServerFailed,
    UnknownModel,
    Unreachable,
)
_FindLocal: TypeAlias = Callable[[], LocalServer | None]
_ServerModel: TypeAlias = tuple[ModelServer, str]
Pricing: TypeAlias = Callable[[Usage], float | None]
"""Returns the cost of requests in US dollars, None if prices are unknown."""


def no_pricing(_: Usage) -> None:
    """Return None for any usage."""
    return


@dataclass(frozen=True, slots=True)
class ModelConnection:
    """A model, where it runs ("Ollama at http://127.0.0.1:11434"), what it costs, and its server, if it has one.

    The rehearsal `is_stand_in` if no model is set up and nobody asked for the rehearsal. A connection
    `is_provisional` if there may be another one as soon as a server has started.
    """

    llm: LLM
    origin: str
    pricing: Pricing = no_pricing
    server: ModelServer | None = None
    is_stand_in: bool = False
    is_provisional: bool = False

    def __str__(self) -> str:
        return f"{self.llm.model}: {self.origin}"

    @property
    def has_price(self) -> bool:
        """Return whether the cost of a request is known beforehand; the rehearsal costs nothing."""
        return isinstance(self.llm, Rehearsal) or self.pricing(Usage(1, 1)) is not None


class FallbackChain:
    """The current `connection` and its fallbacks, which are created when needed and kept for the rest of the turn."""

    def __init__(self, connection: ModelConnection, others: Iterable[Callable[[], ModelConnection]] = ()) -> None:
        self.connection = connection
        self._others = deque(others)

    @property
    def has_fallback(self) -> bool:
        """Whether there is another model to try."""
        return bool(self._others)

    def advance(self, error: BaseException) -> list[str]:
        """Switch to the next fallback that works; return notices, the last one with its name.

        Raises `error` if another model would not help or there is no fallback left. May block for a moment, so do
        not call this on the event loop.
        """
        if not isinstance(error, _FALLBACK_ERRORS):
            raise error
        notices: list[str] = []
        while self._others:
            try:
                self.connection = self._others.popleft()()
            except PromptObjectsError as unusable:
                notices.append(f"A fallback cannot be used: {unusable}")
            else:
                return [*notices, f"{self.connection.llm.model} responds instead: {error}"]
        raise error


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
    name = _chosen_name(name, config, environ)
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


def has_known_price(name: str | None, config: "Config", environ: Mapping[str, str]) -> bool:
    """Return whether prices are known for the model that `connect` returns, without contacting a server.

    Returns True if the model depends on a server, or if a key is missing. Do not call this on the event loop: it may
    load public prices.
    """
    name = _chosen_name(name, config, environ)
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


def _chosen_name(name: str | None, config: "Config", environ: Mapping[str, str]) -> str:
    if not name or (name == "default" and name not in config.models):
        name = config.model or _openai_model(environ)
    return "" if name == "default" and name not in config.models else name


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


# Prices


def given_pricing(prices: "Prices") -> Pricing:
    """Return a function that calculates the cost by the given prices; by default, `cached` is equal to `prompt`."""
    cached = prices.prompt if prices.cached is None else prices.cached

    def cost(usage: Usage) -> float:
        fresh = usage.prompt - usage.cached
        return (fresh * prices.prompt + usage.cached * cached + usage.completion * prices.completion) / _MILLION

    return cost


def known_pricing(model: str, base_url: str) -> Pricing:
    """Return a function that calculates costs by public prices, if the extra `prices` has them.

    The prices of the server at `base_url` are preferred, else the model's own provider's are used. Loading the prices
    takes a quarter of a second, so do not call this on the event loop.
    """
    try:
        import genai_prices
    except ImportError:
        return no_pricing

    def cost(usage: Usage) -> float | None:
        counted = genai_prices.Usage(
            input_tokens=usage.prompt, output_tokens=usage.completion, cache_read_tokens=usage.cached
        )
        for server in (base_url, None):
            with suppress(LookupError, ValueError):  # also for invalid token counts
                return float(genai_prices.calc_price(counted, model, provider_api_url=server).total_price)
        return None

    return cost if cost(Usage(1, 1)) is not None else no_pricing
