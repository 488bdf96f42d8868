"""The schema of environment.yaml.

`${NAME}` in any text is replaced by that environment variable; secrets belong there and nowhere else.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from prompt_objects.config.limits import LimitsConfig, accept_old_key
from prompt_objects.config.maintenance import BackupSettings, PruneSettings
from prompt_objects.config.permissions import ApprovalPolicy, Effect
from prompt_objects.config.yaml.convert import NonEmpty, convert, expected, label
from prompt_objects.config.yaml.document import YamlDocument, parse, quoted, read_text
from prompt_objects.errors import ConfigError
from prompt_objects.utils.text import SERVER_NAME_PATTERN

EditingMode: TypeAlias = Literal["emacs", "vi"]
ProviderName: TypeAlias = Literal[  # the keys of `PROVIDERS` in prompt_objects/llm/providers.py
    "openai",
    "anthropic",
    "gemini",
    "groq",
    "mistral",
    "openrouter",
    "deepseek",
    "xai",
    "together",
    "fireworks",
    "cerebras",
]
VARIABLE_PATTERN = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_Url: TypeAlias = Annotated[str, expected("a URL that starts with http:// or https://", pattern=r"^https?://\S+$")]
_Variable: TypeAlias = Annotated[
    str, expected("the name of an environment variable", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
]
_Price: TypeAlias = Annotated[float, Meta(ge=0)]
_StoreUrl: TypeAlias = Annotated[  # it may contain a password, so errors must not quote it
    str, expected("the URL of a store, such as files:PATH or sqlite:///PATH", pattern=":")
]
_SIZE = re.compile(r"^([0-9]{1,30}(?:\.[0-9]{1,30})?)\s*((?:[kKMG]i?)?)B?$")
_MAX_SIZE = 10**15
_SIZE_EXAMPLE = "a number of bytes, such as 50000000 or 50 MB"
_Size: TypeAlias = (
    Annotated[int, expected(_SIZE_EXAMPLE, ge=1)] | Annotated[str, expected(_SIZE_EXAMPLE, pattern=_SIZE.pattern)]
)
_FalseOnly: TypeAlias = Annotated[bool, expected("false")]
_FACTORS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "ki": 2**10, "Mi": 2**20, "Gi": 2**30}


class Prices(Struct, frozen=True, forbid_unknown_fields=True):
    """Prices of a model in US dollars per million tokens; `cached` prompt tokens may be cheaper."""

    prompt: _Price
    completion: _Price
    cached: _Price | None = None


class ModelConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """A model ID, and the server of the model: a `provider`, or a `base_url`; without both, OpenAI.

    A provider has a default model. `api_key_env` names the variable with the key. `context_window` is in tokens,
    `timeout` in seconds.
    """

    model: NonEmpty | None = None
    provider: ProviderName | None = None
    base_url: _Url | None = None
    api_key_env: _Variable | None = None
    context_window: Annotated[int, Meta(ge=1)] | None = None
    prices: Prices | None = None
    timeout: Annotated[float, Meta(gt=0)] | None = None


class ServerConfig(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An MCP server: a program with arguments and environment, or a URL with headers.

    `${NAME}` is replaced when the server is started. With `trust_hints`, a tool that claims to be read-only is
    treated as such. `timeout` is the limit of a call in seconds.
    """

    command: NonEmpty | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    url: _Url | None = None
    headers: dict[str, str] = {}
    trust_hints: bool = False
    timeout: Annotated[float, Meta(gt=0, le=86_400)] = 300.0


class SettingsSchema(Struct, frozen=True, forbid_unknown_fields=True):
    """The content of settings.yaml, the user's own settings; environment.yaml may give others."""

    model: NonEmpty | None = None
    models: dict[str, ModelConfig] | None = None
    pin: bool | None = None
    editing_mode: EditingMode | None = None
    prose_width: Annotated[int, Meta(ge=20, le=10_000)] | None = None


class ConfigSchema(Struct, frozen=True, forbid_unknown_fields=True):
    """The content of environment.yaml; keys for later versions may have any value."""

    default_object: NonEmpty | None = None
    data_dir: NonEmpty | None = None
    model: NonEmpty | None = None
    models: dict[str, ModelConfig] | None = None
    pin: bool | None = None
    limits: LimitsConfig | None = None
    user: NonEmpty | None = None
    editing_mode: EditingMode | None = None
    prose_width: Annotated[int, Meta(ge=20, le=10_000)] | None = None
    store: _StoreUrl | None = None
    pool_size: Annotated[int, Meta(ge=1, le=1000)] | None = None
    max_session_size: _Size | None = None
    compress: _FalseOnly | _Size | None = None
    backups: BackupSettings | None = None
    prune: PruneSettings | None = None
    approval: dict[Effect, ApprovalPolicy] | None = None
    http_allow: tuple[NonEmpty, ...] | None = None
    mcp_servers: dict[str, ServerConfig] | None = None
    logs: Any = None


_SIMILARITY = 0.8
_NOT_EXPANDED = ("mcp_servers", "logs")  # an unset variable only matters if they are used
_WITH_DEFAULTS = ("approval", "backups", "prune")


def read_document(file: Path) -> YamlDocument:
    """Return the content of environment.yaml as it is written. Raises `ConfigError`."""
    return parse(read_text(file, ConfigError), file, ConfigError)


def is_foreign(data: Any) -> bool:
    """Return whether environment.yaml is that of another program: it has no setting of this one, even misspelled."""
    from difflib import get_close_matches

    own = ConfigSchema.__struct_fields__
    keys = [key for key in data if isinstance(key, str)] if isinstance(data, dict) else []
    return not any(key in own or get_close_matches(key[:100], own, 1, _SIMILARITY) for key in keys)


def parse_config(document: YamlDocument, environ: Mapping[str, str]) -> tuple[ConfigSchema, tuple[str, ...]]:
    """Return the settings in environment.yaml, and notices for its author. Raises `ConfigError`.

    Expands the variables in the document.
    """
    if not document.data:
        return ConfigSchema(), ()
    if is_foreign(document.data):
        return ConfigSchema(), (f"{document.file} has no setting of this program, so it is ignored.",)
    expand(document, environ, skip=_NOT_EXPANDED)
    _drop_empty_keys(document.data)
    notices = accept_old_key(document)
    config = convert(document, ConfigSchema)
    _check_data_dir(document, config)
    _check_sizes(document, config)
    _check_models(document, config)
    _check_servers(document, config)
    return config, (*notices, *_notices(document, config))


def settings_schema() -> dict[str, Any]:
    """Return the JSON Schema of settings.yaml, for editors."""
    (reference,), definitions = msgspec.json.schema_components([SettingsSchema], ref_template="#/$defs/{name}")
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, "title": "Settings", **reference, "$defs": definitions}


def store_options(config: ConfigSchema) -> dict[str, Any]:
    """Return the settings of the store, by the names that stores give them."""
    options: dict[str, Any] = {}
    if config.pool_size is not None:
        options["pool_size"] = config.pool_size
    if config.max_session_size is not None:
        options["max_session_size"] = _bytes(config.max_session_size)
    if config.compress is not None:
        options["compress"] = None if config.compress is False else _bytes(config.compress)
    return options


def _bytes(size: int | str) -> int:
    """Parse a size: a kB is 1,000 bytes, a KiB 1,024."""
    if isinstance(size, int):
        return size
    number, unit = _SIZE.findall(size)[0]
    return int(float(number) * _FACTORS[unit])


def _notices(document: YamlDocument, config: ConfigSchema) -> Iterator[str]:
    models = (config.models or {}).items()
    unused = [("models", name, "context_window") for name, model in models if model.context_window is not None]
    for path in (*unused, *([("logs",)] if config.logs is not None else [])):
        line, column = document.position_of(*path, key=True)
        yield f"{document.file}:{line}:{column}: {label(path)} has no effect in this version."


def _check_sizes(document: YamlDocument, config: ConfigSchema) -> None:
    if config.compress is True:
        problem = "`compress` must be a number of bytes, or false, not the yes/no value true."
        raise document.error_at(problem, document.position_of("compress"), hint="Such as: compress: 16 kB")
    for key in ("max_session_size", "compress"):
        size = _bytes(getattr(config, key) or 1)
        if not 1 <= size <= _MAX_SIZE:
            bound = "at least 1 byte" if size < 1 else "at most 1,000,000 GB"
            raise document.error_at(f"{label((key,))} must be {bound}.", document.position_of(key))


def _check_models(document: YamlDocument, config: ConfigSchema) -> None:
    for name, model in (config.models or {}).items():
        path = ("models", name)
        if model.model is None and model.provider is None:
            problem = f"{label(path)} has no `model`."
            raise document.error_at(
                problem, document.position_of(*path), hint="Only a `provider` has a default model."
            )
        if model.provider is not None and model.base_url is not None:
            problem = f"{label(path)} must not have both `provider` and `base_url`."
            hint = "For another server, leave out `provider`, and name the variable of its key in `api_key_env`."
            raise document.error_at(problem, document.position_of(*path, "base_url", key=True), hint=hint)


def _check_servers(document: YamlDocument, config: ConfigSchema) -> None:
    for name, server in (config.mcp_servers or {}).items():
        path = ("mcp_servers", name)
        if not re.fullmatch(SERVER_NAME_PATTERN, name):
            problem = f"{quoted(name)} cannot be the name of an MCP server."
            hint = "A name has at most 32 letters, digits, _ and -, and starts with a letter."
            raise document.error_at(problem, document.position_of(*path, key=True), hint=hint)
        if (server.command is None) == (server.url is None):
            problem = f"{label(path)} must have exactly one of `command` and `url`."
            raise document.error_at(problem, document.position_of(*path))
        kind, others = ("command", ("headers",)) if server.command is not None else ("url", ("args", "env"))
        for key in others:
            if getattr(server, key):
                owner = "url" if kind == "command" else "command"
                at = document.position_of(*path, key, key=True)
                raise document.error_at(f"`{key}` belongs to `{owner}`, not to `{kind}`.", at)


def _check_data_dir(document: YamlDocument, config: ConfigSchema) -> None:
    if config.data_dir is None:
        return
    given = Path(config.data_dir)
    if "\0" in config.data_dir or (not given.is_absolute() and (".." in given.parts or not given.parts)):
        source = quoted(document.source_of("data_dir"))
        problem = f"`data_dir` is {source}, which is not below the environment's folder."
        hint = "Give a path below it, or an absolute one."
        raise document.error_at(problem, document.position_of("data_dir"), hint=hint)


def _drop_empty_keys(data: Any) -> None:
    for key in _WITH_DEFAULTS if isinstance(data, dict) else ():
        if isinstance(data.get(key), dict):
            for name in [name for name, value in data[key].items() if value is None]:
                del data[key][name]


def expand(document: YamlDocument, environ: Mapping[str, str], skip: Collection[str] = ()) -> None:
    """Replace the variables in the texts of a document, except below the keys `skip`. Raises the document's error."""
    done = set[int]()
    for key in document.data if isinstance(document.data, dict) else ():
        if key not in skip:
            _expand(document, document.data[key], (key,), environ, done)
            if isinstance(document.data[key], str):
                document.data[key] = _expanded(document, document.data[key], (key,), environ)


def _expand(
    document: YamlDocument, data: Any, path: tuple[str | int, ...], environ: Mapping[str, str], done: set[int]
) -> None:
    """Replace variables; lists and mappings that aliases repeat are expanded once."""
    if not isinstance(data, (dict, list)) or id(data) in done:
        return
    done.add(id(data))
    for key, value in list(data.items() if isinstance(data, dict) else enumerate(data)):
        if isinstance(value, str):
            data[key] = _expanded(document, value, (*path, key), environ)
        else:
            _expand(document, value, (*path, key), environ, done)


def _expanded(document: YamlDocument, text: str, path: tuple[str | int, ...], environ: Mapping[str, str]) -> str:
    for name in VARIABLE_PATTERN.findall(text):
        if name not in environ:
            hint = f"Set it before starting, as in: export {name}=…"
            problem = f"The environment variable {name} is not set."
            raise document.error_at(problem, document.position_of(*path), hint=hint)
    return VARIABLE_PATTERN.sub(lambda found: environ[found[1]], text)
