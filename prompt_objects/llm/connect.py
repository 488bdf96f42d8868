"""Selection of a model (the named one, the configured one, a local server's, or the rehearsal) and its prices."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from prompt_objects.errors import (
    BrokenStream,
    PromptObjectsError,
    RateLimited,
    ServerFailed,
    UnknownModel,
    Unreachable,
    UsageError,
)
from prompt_objects.llm.base import LLM, Usage
from prompt_objects.llm.local_servers import LocalServer, find_local_server, list_models
from prompt_objects.llm.rehearsal import Rehearsal

if TYPE_CHECKING:
    from prompt_objects.config.environment import Config
    from prompt_objects.config.environment_schema import ModelConfig, Prices


DEFAULT_MODEL = "gpt-5.4-mini"  # if there is an OpenAI key but no model is configured
_MILLION = 1_000_000
# Errors that another model may not have. A rejected key, quota or request is left to the user.
_FALLBACK_ERRORS = (BrokenStream, RateLimited, ServerFailed, UnknownModel, Unreachable)
_FindLocal: TypeAlias = Callable[[], LocalServer | None]
Pricing: TypeAlias = Callable[[Usage], float | None]
"""Returns the cost of requests in US dollars, None if prices are unknown."""


def no_pricing(_: Usage) -> None:
    """Return None for any usage."""
    return


@dataclass(frozen=True, slots=True)
class ModelConnection:
    """A model, where it runs ("Ollama at http://127.0.0.1:11434/v1"), and what it costs."""

    llm: LLM
    origin: str
    pricing: Pricing = no_pricing

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


@dataclass(frozen=True, slots=True)
class _Server:
    """A model server given by environment variables; OpenAI's without a `base_url`."""

    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    key_name: str | None = None
    timeout: float | None = None

    def connection(self, model: str, name: str = "", pricing: Pricing | None = None) -> ModelConnection:
        import openai  # noqa: F401 - half a second, spent here rather than in the first request

        from prompt_objects.llm.failures import display_url
        from prompt_objects.llm.openai import DEFAULT_TIMEOUT, OPENAI_URL, OpenAILLM

        if self.base_url and not _is_url(self.base_url):
            raise UsageError(
                f"The address of the model {model} is not a URL.",
                hint="Check OPENAI_BASE_URL, or base_url in environment.yaml; an example is http://127.0.0.1:11434/v1.",
            )
        llm = OpenAILLM(
            model,
            base_url=self.base_url,
            api_key=self.api_key,
            key_name=self.key_name,
            timeout=self.timeout or DEFAULT_TIMEOUT,
        )
        url = display_url(self.base_url or OPENAI_URL)
        name = name or ("" if self.base_url else "OpenAI")
        origin = f"{name} at {url}" if name else url
        return ModelConnection(llm, origin, pricing or (known_pricing(model) if self.api_key else no_pricing))


def connect(
    name: str | None, config: "Config", environ: Mapping[str, str], *, find_local: _FindLocal = find_local_server
) -> ModelConnection:
    """Return the model called `name`, or the configured model if `name` is None.

    A name is `rehearsal`, a key of the config's models, or a model ID; `default` counts as None unless it is such a
    key. May contact servers, so it may block. A problem with a server or a key is raised only when a turn begins.
    """
    name = _chosen_name(name, config, environ)
    if name in config.models:
        return _connect_configured(config.models[name], environ)
    if name == "rehearsal":
        return ModelConnection(Rehearsal(), "offline, without a model")
    if name:
        return _connect_by_model_id(name, environ, find_local)
    return _connect_first_available(environ, find_local)


def has_known_price(name: str | None, config: "Config", environ: Mapping[str, str]) -> bool:
    """Return whether prices are known for the model that `connect` returns, without contacting a server.

    Returns True if the model depends on a server, or if a key is missing. Do not call this on the event loop: it may
    load public prices.
    """
    name = _chosen_name(name, config, environ)
    if name in config.models:
        model = config.models[name]
        is_public = bool(model.api_key_env or not model.base_url) and known_pricing(model.model) is not no_pricing
        return model.prices is not None or is_public
    default = _default_server(environ)
    if not name and default.api_key and not default.base_url:
        name = DEFAULT_MODEL
    return name in {"", "rehearsal"} or known_pricing(name) is not no_pricing


def _chosen_name(name: str | None, config: "Config", environ: Mapping[str, str]) -> str:
    if not name or (name == "default" and name not in config.models):
        name = config.model or environ.get("OPENAI_MODEL") or ""
    return "" if name == "default" and name not in config.models else name


def _connect_configured(model: "ModelConfig", environ: Mapping[str, str]) -> ModelConnection:
    """Connect to a model of the config; OpenAI's key is sent only to OpenAI, or to the server at OPENAI_BASE_URL."""
    default = _default_server(environ)
    if model.api_key_env:
        base_url = model.base_url or default.base_url
        server = _Server(base_url, environ.get(model.api_key_env, "").strip(), model.api_key_env, model.timeout)
    elif model.base_url:
        server = _Server(model.base_url, timeout=model.timeout)
    else:
        server = _Server(default.base_url, default.api_key, default.key_name, model.timeout)
    return server.connection(model.model, pricing=given_pricing(model.prices) if model.prices else None)


def _connect_by_model_id(model: str, environ: Mapping[str, str], find_local: _FindLocal) -> ModelConnection:
    server = _default_server(environ)
    if not server.base_url and not server.api_key:
        local = find_local()
        if local and model in local.models:
            return _Server(local.base_url).connection(model, local.name)
    return server.connection(model)


def _connect_first_available(environ: Mapping[str, str], find_local: _FindLocal) -> ModelConnection:
    server = _default_server(environ)
    if server.base_url:
        models = list_models(server.base_url, api_key=server.api_key)
        return server.connection(models[0] if models else DEFAULT_MODEL)
    if server.api_key:
        return server.connection(DEFAULT_MODEL)
    if local := find_local():
        return _Server(local.base_url).connection(local.models[0], local.name)
    return ModelConnection(Rehearsal(), "no model is set up; set OPENAI_API_KEY, or start a local model server")


def _default_server(environ: Mapping[str, str]) -> _Server:
    base_url = environ.get("OPENAI_BASE_URL", "").strip() or None
    api_key = environ.get("OPENAI_API_KEY", "").strip() or None
    return _Server(base_url, api_key, None if base_url and not api_key else "OPENAI_API_KEY")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        is_http = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_http and text.isprintable() and " " not in text


# Prices


def given_pricing(prices: "Prices") -> Pricing:
    """Return a function that calculates the cost by the given prices; by default, `cached` is equal to `prompt`."""
    cached = prices.prompt if prices.cached is None else prices.cached

    def cost(usage: Usage) -> float:
        fresh = usage.prompt - usage.cached
        return (fresh * prices.prompt + usage.cached * cached + usage.completion * prices.completion) / _MILLION

    return cost


def known_pricing(model: str) -> Pricing:
    """Return a function that calculates costs by public prices, if the extra `prices` has them.

    Loading the prices takes a quarter of a second, so do not call this on the event loop.
    """
    try:
        import genai_prices
    except ImportError:
        return no_pricing

    def cost(usage: Usage) -> float | None:
        counted = genai_prices.Usage(
            input_tokens=usage.prompt, output_tokens=usage.completion, cache_read_tokens=usage.cached
        )
        try:
            return float(genai_prices.calc_price(counted, model).total_price)
        except (LookupError, ValueError):  # also for invalid token counts
            return None

    return cost if cost(Usage(1, 1)) is not None else no_pricing
