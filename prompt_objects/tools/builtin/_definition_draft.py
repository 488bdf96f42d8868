"""Drafts of definitions: the new content of a definition file, checked before the user sees it."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from prompt_objects.analysis.check import check
from prompt_objects.analysis.finding import Finding
from prompt_objects.analysis.rules.privileges import gained_privileges
from prompt_objects.config.definition import parse_definition
from prompt_objects.config.yaml.document import MAX_BYTES, front_matter, parse
from prompt_objects.config.yaml.edit import CannotEdit, append_items, remove_item, set_text
from prompt_objects.errors import DefinitionError, ToolError
from prompt_objects.runtime.context import TakeSnapshot
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.text import NAME, did_you_mean

_BOM = "\ufeff"
_INVISIBLE = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}  # Unicode categories
_BLANK = re.compile(  # invisible characters of other categories: fillers, variation selectors
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U0001d159\U000e0000-\U000e0fff]"
)
_LEGITIMATE = re.compile(  # line ends, tabs, and single joiners and emoji selectors where a script needs them
    "\r?\n|\t|(?<=[^\0-\x7f\u200c\u200d])[\u200c\u200d](?![\u200c\u200d])"
    "|(?<=[\xa9\xae\u203c-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff])\ufe0f|\ufe0f(?=\u20e3)"
)


class DefinitionChange(Struct, frozen=True, kw_only=True):
    """A change to a definition. None leaves a text unchanged; `remove` are names of capabilities."""

    prompt: str | None = None
    description: str | None = None
    add: tuple[str | dict[str, Any], ...] = ()
    remove: tuple[str, ...] = ()


class Draft(Struct, frozen=True):
    """A definition file with its content before (None if the file is new) and after the change."""

    file: Path
    before: bytes | None
    after: bytes

    @property
    def name(self) -> str:
        return self.file.stem

    @property
    def text(self) -> str:
        """The new content as it will be parsed."""
        return self.after.decode().removeprefix(_BOM).replace("\r\n", "\n")


def new_object(definition: str, folder: Path, take_snapshot: TakeSnapshot) -> Draft:
    """Draft a new object from YAML. Raises `ToolError`, with line and column, if the definition is invalid."""
    text = definition.replace("\r\n", "\n").strip("\n") + "\n"
    file = folder / "objects" / f"{_name_in(text)}.yaml"
    taken = next((name for name in take_snapshot().graph.objects if name.casefold() == file.stem.casefold()), None)
    if taken is not None or file.exists():
        raise ToolError(f"There is already a prompt object {taken or file.stem!r}. Use propose_change to change it.")
    return _validate(Draft(file, None, _encoded(text)), folder)


def change_object(name: str, change: DefinitionChange, folder: Path, take_snapshot: TakeSnapshot) -> Draft:
    """Draft a change to an object; every other byte of its file stays the same. Raises `ToolError`."""
    graph = take_snapshot().graph
    if name not in graph.objects:
        raise ToolError(f"There is no prompt object {name!r}. {did_you_mean(name, graph.objects)}".rstrip())
    if name not in graph.definitions:
        raise ToolError(f"The file of {name} is invalid; the user must repair it first.")
    _refuse_invisible(f"{change.prompt or ''}{change.description or ''}")
    file = graph.definitions[name].file
    try:
        before = disk.read_file(file)
        text = before.decode()
        after = _BOM * text.startswith(_BOM) + _rewrite(text.removeprefix(_BOM), file, change)
    except OSError as error:
        raise ToolError(f"The file of {name} cannot be read: {error.strerror}.") from error
    except DefinitionError as error:
        raise ToolError(_describe_error(error, file.relative_to(folder))) from error
    except CannotEdit as error:
        raise ToolError(f"{name} cannot be changed by a proposal: {error} Ask the user to change it.") from error
    if after == text:
        raise ToolError("The proposal changes nothing: the definition already says this.")
    return _validate(Draft(file, before, _encoded(after)), folder)


def consequences(draft: Draft, take_snapshot: TakeSnapshot) -> tuple[str, ...]:
    """Return sentences about gained privileges and new findings; raises `ToolError` if something would not work."""
    now, later = take_snapshot(), take_snapshot({draft.file: draft.text})
    known = {finding.text for finding in check(now)}
    findings = [finding for finding in check(later) if finding.text not in known]
    if errors := [finding for finding in findings if finding.severity == "error"]:
        raise ToolError(" ".join(_describe_finding(draft, finding) for finding in errors))
    privileges = gained_privileges(now, later, draft.name)
    return (*privileges, *(f"{finding.severity.capitalize()}: {finding.text}" for finding in findings))


def _describe_finding(draft: Draft, finding: Finding) -> str:
    if finding.file != draft.file:  # its position would mean nothing to the author of the draft
        return f"That would break {finding.file.stem}: {finding.text}"
    return f"objects/{draft.file.name}:{finding.at.line}:{finding.at.column}: {finding.text}"


def _name_in(text: str) -> str:
    """Return the name in a definition, or "proposed" if it has none that could be a file name."""
    nameless = Path("objects/proposed.yaml")
    try:
        data = parse(text, nameless, DefinitionError).data
        name = data.get("name") if isinstance(data, dict) else None
        if isinstance(name, str) and re.fullmatch(NAME, name):
            return name
        parse_definition(text, nameless)
    except DefinitionError as error:
        raise ToolError(_describe_error(error, nameless)) from error
    return nameless.stem


def _rewrite(text: str, file: Path, change: DefinitionChange) -> str:
    if file.suffix != ".md":
        return _change_yaml(text, file, change)
    start, yaml, end, prompt = front_matter(text) or ("", "", "", text)
    after = _change_yaml(yaml, file, replace(change, prompt=None))
    if change.prompt is not None:
        lead, trail = len(prompt) - len(prompt.lstrip()), len(prompt.rstrip())
        prompt = prompt[:lead] + change.prompt.strip() + prompt[trail:]
    return start + after + end + prompt


def _change_yaml(text: str, file: Path, change: DefinitionChange) -> str:
    data = parse(text.replace("\r\n", "\n"), file, DefinitionError).data
    capabilities = data.get("capabilities") or []
    removed = _indices(capabilities, change.remove)
    after, expected = text, dict(data)
    for key, value in (("description", change.description), ("prompt", change.prompt)):
        if value is not None and value.strip() != str(data.get(key) or "").strip():
            after = set_text(after, key, value.strip(), before="prompt")
            expected[key] = value.strip()
    for index in sorted(removed, reverse=True):
        after = remove_item(after, "capabilities", index)
    if change.add:
        after = append_items(after, "capabilities", change.add, before="prompt")
    if removed or change.add:
        kept = (item for index, item in enumerate(capabilities) if index not in removed)
        expected["capabilities"] = [*kept, *change.add]
    if after != text:
        changed = parse(after.replace("\r\n", "\n"), file, DefinitionError).data
        if _normalized(changed) != _normalized(expected):
            raise CannotEdit("Its file has an unusual form.")
    return after


def _indices(capabilities: list[Any], names: Collection[str]) -> set[int]:
    existing = [_capability_name(item) for item in capabilities]
    for name in names:
        if name not in existing:
            raise ToolError(f"It has no capability {name!r}. It has: {', '.join(existing) or 'none'}.")
    return {index for index, name in enumerate(existing) if name in names}


def _capability_name(item: Any) -> str:
    if isinstance(item, str):
        return item
    return next((str(item[key]) for key in ("po", "tool", "mcp") if item.get(key) is not None), "")


def _normalized(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of a definition without differences that have no meaning."""
    return {key: value.strip() if isinstance(value, str) else _plain(value) for key, value in data.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ToolError("The text contains a lone surrogate (half of a character).") from error


def _validate(draft: Draft, folder: Path) -> Draft:
    """Return the draft if it is a valid definition without invisible characters; raise `ToolError` otherwise."""
    if len(draft.after) > MAX_BYTES:
        raise ToolError(f"A definition has at most {MAX_BYTES:,} bytes; this one has {len(draft.after):,}.")
    _refuse_invisible(draft.after.decode(), (draft.before or b"").decode())
    try:
        parse_definition(draft.text, draft.file)
    except DefinitionError as error:
        raise ToolError(_describe_error(error, draft.file.relative_to(folder))) from error
    return draft


def _refuse_invisible(text: str, before: str = "") -> None:
    for character in sorted(_invisible(text) - _invisible(before)):
        raise ToolError(f"The character U+{ord(character):04X} is invisible and not allowed in a definition.")


def _invisible(text: str) -> Counter[str]:
    rest = _LEGITIMATE.sub("", text)
    return Counter(each for each in rest if unicodedata.category(each) in _INVISIBLE or _BLANK.match(each))


def _describe_error(error: DefinitionError, file: Path) -> str:
    position = ":".join(str(part) for part in (file.as_posix(), error.line, error.column) if part is not None)
    return f"{position}: {error.problem} {error.hint}".rstrip()
