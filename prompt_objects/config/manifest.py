"""`manifest.yml`: the name, description and default object of an environment of the Ruby implementation."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from prompt_objects.errors import ConfigError

MANIFEST_FILE = "manifest.yml"


class Manifest(Struct, frozen=True):
    """The keys of a manifest that describe its environment; its other keys are for the Ruby implementation only."""

    name: str
    description: str = ""
    default_object: str | None = None


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of an environment; None if there is none, or another program's file of that name."""
    file = folder / MANIFEST_FILE
    if not file.is_file():
        return None
    from prompt_objects.config.yaml.document import parse, read_text

    data: Any = None
    with suppress(ConfigError):
        data = parse(read_text(file, ConfigError), file, ConfigError).data
    if not isinstance(data, dict) or not _text(data, "name") or not (folder / "objects").is_dir():
        return None
    return Manifest(_text(data, "name"), _text(data, "description"), _text(data, "default_po") or None)


def _text(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    return value.strip() if isinstance(value, str) else ""
