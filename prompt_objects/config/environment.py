"""The settings of an environment: environment variables, environment.yaml, and the user's own settings."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from msgspec import Struct
from msgspec.structs import asdict, replace

from prompt_objects.config.limits import LimitsConfig
from prompt_objects.config.maintenance import BackupSettings, PruneSettings
from prompt_objects.config.manifest import Manifest, read_manifest
from prompt_objects.config.permissions import ApprovalPolicy, Effect
from prompt_objects.config.settings import load_settings
from prompt_objects.errors import UsageError
from prompt_objects.utils.text import did_you_mean

if TYPE_CHECKING:
    from prompt_objects.config.environment_schema import EditingMode, ModelConfig, ServerConfig
    from prompt_objects.config.yaml.document import YamlDocument


CONFIG_FILE = "environment.yaml"
DATA_DIR = ".prompt_objects"


class Config(Struct, frozen=True, kw_only=True):
    """The settings of an environment, as docs/environment.md describes them; `notices` are for the file's author.

    `model` is a key of `models` or a model ID. `store` is a URL that may contain a password, None for
    `data_dir`; `store_options` are the `StoreOptions` that are set. `mcp_servers` have `${NAME}` as written.
    `manifest` is that of an environment of the Ruby implementation.
    """

    data_dir: Path
    default_object: str | None = None
    model: str | None = None
    models: "Mapping[str, ModelConfig]" = {}
    pin: bool = False
    limits: LimitsConfig = LimitsConfig()
    user: str | None = None
    editing_mode: "EditingMode" = "emacs"
    prose_width: int = 100
    store: str | None = None
    store_options: Mapping[str, Any] = {}
    backups: BackupSettings = BackupSettings()
    prune: PruneSettings = PruneSettings()
    approval: Mapping[Effect, ApprovalPolicy] = {}
    http_allow: tuple[str, ...] = ()
    mcp_servers: "Mapping[str, ServerConfig]" = {}
    manifest: Manifest | None = None
    notices: tuple[str, ...] = ()


def load_config(folder: Path, environ: Mapping[str, str], document: "YamlDocument | None" = None) -> Config:
    """Load the settings: environment variables, then environment.yaml, then the user's own settings.yaml.

    `document` is the content of environment.yaml if it was read before, perhaps without some settings; its variables
    are expanded. Raises `ConfigError` and `UsageError`.
    """
    given: dict[str, Any] = {"models": {}}
    for values in (load_settings(environ), _values(document or read_config_document(folder), environ)):
        if "default" in values.get("models", {}):
            values.setdefault("model", "default")
        given |= {**values, "models": _with_models(given["models"], values.get("models", {}))}
    if manifest := read_manifest(folder):
        given["manifest"] = manifest
        given.setdefault("default_object", manifest.default_object)
    if model := environ.get("PROMPT_OBJECTS_MODEL"):
        given["model"] = model
    if mode := _editing_mode(environ):
        given["editing_mode"] = mode
    return Config(**{**given, "data_dir": folder / given.get("data_dir", DATA_DIR)})


def _with_models(own: "Mapping[str, ModelConfig]", given: "Mapping[str, ModelConfig]") -> "dict[str, ModelConfig]":
    """Return the user's own models with those of environment.yaml.

    One of the same name that names no server only changes the other settings of the user's model, so that messages
    stay at the user's server.
    """
    models = dict(own)
    for name, model in given.items():
        has_server = model.provider or model.base_url or model.api_key_env
        changes = {key: value for key, value in asdict(model).items() if value is not None}
        models[name] = replace(own[name], **changes) if name in own and not has_server else model
    return models


def read_config_document(folder: Path) -> "YamlDocument | None":
    """Return environment.yaml as it is written; None if it does not exist or has only comments.

    Raises `ConfigError`. A file of comments only does not load yaml.
    """
    file = folder / CONFIG_FILE
    if not file.exists() and not file.is_symlink():
        return None
    with suppress(OSError):  # read errors are reported below
        if file.is_file() and all(line.lstrip()[:1] in {b"", b"#"} for line in file.read_bytes().splitlines()):
            return None
    from prompt_objects.config.environment_schema import read_document

    return read_document(file)


def _values(document: "YamlDocument | None", environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the values that environment.yaml gives, by key."""
    if document is None:
        return {}
    from prompt_objects.config.environment_schema import parse_config, store_options

    config, notices = parse_config(document, environ)
    known = Config.__struct_fields__
    given = {key: value for key, value in asdict(config).items() if value is not None and key in known}
    return {**given, "store_options": store_options(config), "notices": notices}


def _editing_mode(environ: Mapping[str, str]) -> "EditingMode | None":
    mode = environ.get("PROMPT_OBJECTS_EDITING_MODE")
    if not mode:
        return None
    from prompt_objects.config.environment_schema import EditingMode

    modes = get_args(EditingMode)
    if mode not in modes:
        problem = f"PROMPT_OBJECTS_EDITING_MODE is {mode[:60]!r}; it must be emacs or vi."
        raise UsageError(problem, hint=did_you_mean(mode, modes))
    return cast("EditingMode", mode)
