"""Drafts of definitions: the new content of a definition file, checked before the user sees it."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from msgspec import Meta, Struct
from msgspec.structs import replace

from prompt_objects.analysis.check import check
from prompt_objects.analysis.finding import Finding
from prompt_objects.analysis.rules.privileges import gained_privileges
from prompt_objects.config.definition import parse_definition
from prompt_objects.config.yaml.document import MAX_BYTES, front_matter, parse
from prompt_objects.config.yaml.edit import CannotEdit, append_items, remove_item, set_text
from prompt_objects.errors import DefinitionError, ToolError
from prompt_objects.runtime.context import TakeSnapshot
from prompt_objects.tools.builtin.edit import encode_text
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.text import NAME_PATTERN, did_you_mean

_BOM = "\ufeff"
_INVISIBLE = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}  # Unicode categories
_OTHER_INVISIBLE = re.compile(  # invisible characters of other categories: fillers, variation selectors
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U0001d159\U000e0000-\U000e0fff]"
)
_ALLOWED_INVISIBLE = re.compile(  # line ends, tabs, and single joiners and emoji selectors where a script needs them
    "\r?\n|\t|(?<=[^\0-\x7f\u200c\u200d])[\u200c\u200d](?![\u200c\u200d])"
    "|(?<=[\xa9\xae\u203c-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff])\ufe0f|\ufe0f(?=\u20e3)"
)
Reason: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=1000, description="The purpose, for the user to read")
]


class ObjectProposal(Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of `propose_object`."""

    definition: Annotated[
        str,
        Meta(
            min_length=1,
            description="The whole definition, in YAML: name (a letter, then letters, digits, _ and -), description, "
            "capabilities (a list of names of tools and prompt objects), and prompt (after '|')",
        ),
    ]
    reason: Reason


class ChangeProposal(Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of `propose_change`. A text that is None or empty stays unchanged."""

    name: Annotated[str, Meta(min_length=1, description="Name of the prompt object")]
    reason: Reason
    prompt: Annotated[str | None, Meta(description="The whole new prompt")] = None
    description: Annotated[str | None, Meta(description="The whole new description")] = None
    add_capabilities: Annotated[
        tuple[str | dict[str, Any], ...],
        Meta(
            description="Names of tools and prompt objects; or, as in a definition, "
            "{'tool': …, 'approval': 'ask'}, {'po': …, 'context': 'continue'}, {'mcp': …, 'tools': […]}"
        ),
    ] = ()
    remove_capabilities: Annotated[
        tuple[str, ...], Meta(description="Names; to change a capability, also name it here and add it")
    ] = ()


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


def new_object(proposal: ObjectProposal, folder: Path, take_snapshot: TakeSnapshot) -> Draft:
    """Draft a new object from YAML. Raises `ToolError`, with line and column, if the definition is invalid."""
    text = proposal.definition.replace("\r\n", "\n").strip("\n") + "\n"
    nameless = Path("objects/proposed.yaml")
    try:
        data = parse(text, nameless, DefinitionError).data
    except DefinitionError as error:
        raise ToolError(_describe_error(error, nameless)) from error
    name = data.get("name") if isinstance(data, dict) else None
    is_valid = isinstance(name, str) and re.fullmatch(NAME_PATTERN, name)
    file = folder / (f"objects/{name}.yaml" if is_valid else nameless)
    draft = _validate(Draft(file, None, encode_text(text)), folder)
    taken = next((other for other in take_snapshot().graph.objects if other.casefold() == file.stem.casefold()), None)
    if taken is not None or file.exists():
        raise ToolError(f"There is already a prompt object {taken or file.stem!r}. Use propose_change to change it.")
    return draft


def change_object(proposal: ChangeProposal, folder: Path, take_snapshot: TakeSnapshot) -> Draft:
    """Draft a change to an object; every other byte of its file stays the same. Raises `ToolError`."""
    graph, name = take_snapshot().graph, proposal.name
    if name not in graph.objects:
        raise ToolError(f"There is no prompt object {name!r}. {did_you_mean(name, graph.objects)}".rstrip())
    if name not in graph.definitions:
        raise ToolError(f"The file of {name} is invalid; the user must repair it first.")
    _refuse_invisible(f"{proposal.prompt or ''}{proposal.description or ''}")
    file = graph.definitions[name].file
    try:
        before = disk.read_file(file)
        text = before.decode()
        after = _BOM * text.startswith(_BOM) + _rewrite(text.removeprefix(_BOM), file, proposal)
    except OSError as error:
        raise ToolError(f"The file of {name} cannot be read: {error.strerror}.") from error
    except DefinitionError as error:
        raise ToolError(_describe_error(error, file.relative_to(folder))) from error
    except CannotEdit as error:
        raise ToolError(f"{name} cannot be changed by a proposal: {error} Ask the user to change it.") from error
    if after == text:
        raise ToolError("The proposal changes nothing: the definition already says this.")
    return _validate(Draft(file, before, encode_text(after)), folder)


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


def _rewrite(text: str, file: Path, change: ChangeProposal) -> str:
    if file.suffix != ".md":
        return _change_yaml(text, file, change)
    start, yaml, end, prompt = front_matter(text) or ("", "", "", text)
    after = _change_yaml(yaml, file, replace(change, prompt=None))
    if change.prompt:
        lead, trail = len(prompt) - len(prompt.lstrip()), len(prompt.rstrip())
        prompt = prompt[:lead] + change.prompt.strip() + prompt[trail:]
    return start + after + end + prompt


def _change_yaml(text: str, file: Path, change: ChangeProposal) -> str:
    data = parse(text.replace("\r\n", "\n"), file, DefinitionError).data
    capabilities = data.get("capabilities") or []
    removed = _indices(capabilities, change.remove_capabilities)
    after, expected = text, dict(data)
    for key, value in (("description", change.description), ("prompt", change.prompt)):
        if value and value.strip() != str(data.get(key) or "").strip():
            after = set_text(after, key, value.strip(), before="prompt")
            expected[key] = value.strip()
    for index in sorted(removed, reverse=True):
        after = remove_item(after, "capabilities", index)
    if change.add_capabilities:
        after = append_items(after, "capabilities", change.add_capabilities, before="prompt")
    if removed or change.add_capabilities:
        kept = (item for index, item in enumerate(capabilities) if index not in removed)
        expected["capabilities"] = [*kept, *change.add_capabilities]
    if after != text:
        changed = parse(after.replace("\r\n", "\n"), file, DefinitionError).data
        if _normalized(changed) != _normalized(expected):
            raise CannotEdit("The layout of its file is not supported.")
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
    return {key: value.strip() if isinstance(value, str) else value for key, value in data.items()}


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
    rest = _ALLOWED_INVISIBLE.sub("", text)
    return Counter(each for each in rest if unicodedata.category(each) in _INVISIBLE or _OTHER_INVISIBLE.match(each))


def _describe_error(error: DefinitionError, file: Path) -> str:
    position = ":".join(str(part) for part in (file.as_posix(), error.line, error.column) if part is not None)
    return f"{position}: {error.problem} {error.hint}".rstrip()
