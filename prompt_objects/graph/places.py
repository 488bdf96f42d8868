"""Where the parts of files stand that have been understood already."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from prompt_objects.errors import FileError
from prompt_objects.yaml_document import TOP, Position, YamlDocument, parse, read_text

__all__ = ["Places"]


class Places:
    """Looks up values and their places in YAML files and in the front matter of Markdown files.

    Each file is read once, when it is first asked about. What cannot be read holds nothing: that it cannot is for
    those to say who need it. `drafts` are texts that stand for those in files.
    """

    def __init__(self, drafts: Mapping[Path, str] = MappingProxyType({})) -> None:
        self._drafts = drafts
        self._read: dict[Path, YamlDocument] = {}

    def value(self, file: Path, *path: str) -> Any:
        """Return the value at a path of keys as it is written, None where there is none."""
        value = self._document(file).data
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    def keys(self, file: Path, *path: str) -> list[str]:
        """Return the keys of the mapping at a path, none where there is no mapping."""
        value = self.value(file, *path)
        return list(value) if isinstance(value, dict) else []

    def of(self, file: Path, *path: str | int, key: bool = False) -> Position:
        """Return where the value at a path stands, or its key; of what is not there, where it belongs."""
        return self._document(file).position_of(*path, key=key)

    def _document(self, file: Path) -> YamlDocument:
        if file not in self._read:
            try:
                self._read[file] = parse(_yaml(file, self._drafts.get(file)), file, FileError)
            except FileError:
                self._read[file] = YamlDocument(file, FileError, start=TOP)
        return self._read[file]


def _yaml(file: Path, draft: str | None) -> str:
    """Return the text of a file; of a Markdown file the front matter, with every line at its number."""
    text = read_text(file, FileError) if draft is None else draft
    if file.suffix != ".md":
        return text
    lines = text.split("\n")
    fences = [number for number, line in enumerate(lines) if line.rstrip() == "---"]
    return "\n".join(["", *lines[1 : fences[1]]]) if fences[1:] and fences[0] == 0 else ""
