"""The settings that apply in an environment, with the place that each comes from."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from prompt_objects.config.environment_schema import is_foreign
from prompt_objects.config.settings import read_settings_document

if TYPE_CHECKING:
    from prompt_objects.config.yaml.document import YamlDocument

_VARIABLES = {"model": "PROMPT_OBJECTS_MODEL", "editing_mode": "PROMPT_OBJECTS_EDITING_MODE"}


class SettingSource(NamedTuple):
    """A setting: its name, its value as it is written, and the file or environment variable."""

    name: str
    value: Any
    source: str


def find_sources(document: "YamlDocument | None", environ: Mapping[str, str]) -> list[SettingSource]:
    """Return the settings that apply, sorted by name; `document` is environment.yaml. Raises `ConfigError`."""
    found: dict[str, SettingSource] = {}
    own = None if document and is_foreign(document.data) else document  # that of another program is ignored
    for each in (read_settings_document(), own):  # a later one takes precedence
        if each is not None:
            found |= {name: SettingSource(name, value, str(each.file)) for name, value in _settings(each.data)}
    for name, variable in _VARIABLES.items():
        if value := environ.get(variable):
            found[name] = SettingSource(name, value, variable)
    return sorted(found.values())


def _settings(data: Any) -> Iterator[tuple[str, Any]]:
    for key, value in data.items() if isinstance(data, dict) else ():
        if key == "models" and isinstance(value, dict):
            yield from ((f"models.{name}", model) for name, model in value.items())
        elif value not in (None, {}):
            yield key, value
