"""The user's own settings for all environments: settings.yaml in the user's configuration folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prompt_objects.errors import ConfigError
from prompt_objects.utils.user_folders import config_folder

if TYPE_CHECKING:
    from prompt_objects.config.yaml.document import YamlDocument


def settings_file() -> Path:
    """Return the path of settings.yaml, which need not exist."""
    return config_folder() / "settings.yaml"


def read_settings_document() -> "YamlDocument | None":
    """Return settings.yaml as it is written; None if it does not exist. Raises `ConfigError`."""
    file = settings_file()
    if not file.exists():
        return None
    from prompt_objects.config.yaml.document import parse, read_text

    return parse(read_text(file, ConfigError), file, ConfigError)


def load_settings(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the values that settings.yaml gives, by key. Raises `ConfigError`."""
    document = read_settings_document()
    if document is None or document.data is None:
        return {}
    from msgspec.structs import asdict

    from prompt_objects.config.environment_schema import SettingsSchema, expand
    from prompt_objects.config.yaml.convert import convert

    expand(document, environ)
    return {key: value for key, value in asdict(convert(document, SettingsSchema)).items() if value is not None}
