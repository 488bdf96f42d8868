"""The draft of a prompt object's definition: what would stand in its file, checked before anybody sees it."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from prompt_objects.analysis.check import check
from prompt_objects.analysis.finding import Finding
from prompt_objects.analysis.rules.privileges import gained_privileges
from prompt_objects.config.definition import parse_definition
from prompt_objects.config.yaml.document import MOST_BYTES, parse
from prompt_objects.config.yaml.edit import Unchangeable, with_items, with_text, without_item
from prompt_objects.errors import DefinitionError, ToolError
from prompt_objects.runtime.context import TakeSnapshot
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.text import NAME, did_you_mean

__all__ = [
    "DefinitionChange",
    "Draft",
    "changed_object",
    "consequences",
    "new_object",
]

_BOM = "\ufeff"
_UNSEEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}  # what a person who is shown a text does not see
_BLANK = re.compile(  # what is of other kinds, but is not seen either: fillers, selectors of variants, and the like
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U0001d159\U000e0000-\U000e0fff]"
)
_MEANT = re.compile(  # ends of lines, tabs, and what joins words and signs of some scripts, or colours a sign, once
    "\r?\n|\t|(?<=[^\0-\x7f\u200c\u200d])[\u200c\u200d](?![\u200c\u200d])"
    "|(?<=[\xa9\xae\u203c-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff])\ufe0f|\ufe0f(?=\u20e3)"
)


class DefinitionChange(Struct, frozen=True, kw_only=True):
    """What is to be different in a definition; None leaves a text as it is. `remove` are names of capabilities."""

    prompt: str | None = None
    description: str | None = None
    add: tuple[str | dict[str, Any], ...] = ()
    remove: tuple[str, ...] = ()


class Draft(Struct, frozen=True):
    """A definition as it would be: its file, what that holds now (None where there is none), and what it would."""

    file: Path
    before: bytes | None
    after: bytes

    @property
    def name(self) -> str:
        """What the object is called."""
        return self.file.stem

    @property
    def text(self) -> str:
        """What would be read of the file."""
        return self.after.decode().removeprefix(_BOM).replace("\r\n", "\n")


def new_object(definition: str, folder: Path, look: TakeSnapshot) -> Draft:
    """Draft a new object, in YAML, for the folder of an environment; raises `ToolError`, with line and column."""
    text = definition.replace("\r\n", "\n").strip("\n") + "\n"
    file = folder / "objects" / f"{_name_in(text)}.yaml"
    taken = next((name for name in look().graph.objects if name.casefold() == file.stem.casefold()), None)
    if taken is not None or file.exists():
        raise ToolError(f"There is a prompt object {taken or file.stem!r} already. propose_change changes one.")
    return _sound(Draft(file, None, _encoded(text)), folder)


def changed_object(name: str, change: DefinitionChange, folder: Path, look: TakeSnapshot) -> Draft:
    """Draft a change to an object, every other byte of its file as it was; raises `ToolError`."""
    graph = look().graph
    if name not in graph.objects:
        raise ToolError(f"There is no prompt object {name!r}. {did_you_mean(name, graph.objects)}".rstrip())
    if name not in graph.definitions:
        raise ToolError(f"The file of {name} is faulty; a person has to mend it first.")
    _refuse_unseen(f"{change.prompt or ''}{change.description or ''}")
    file = graph.definitions[name].file
    try:
        before = disk.read_file(file)
        text = before.decode()
        after = _BOM * text.startswith(_BOM) + _rewritten(text.removeprefix(_BOM), file, change)
    except OSError as error:
        raise ToolError(f"The file of {name} is not changed by proposals: {error.strerror}.") from error
    except DefinitionError as error:
        raise ToolError(_in_words(error, file.relative_to(folder))) from error
    except Unchangeable as error:
        raise ToolError(f"{name} cannot be changed by a proposal: {error} A person has to do it.") from error
    if after == text:
        raise ToolError("That changes nothing: it is so already.")
    return _sound(Draft(file, before, _encoded(after)), folder)


def consequences(draft: Draft, look: TakeSnapshot) -> tuple[str, ...]:
    """Say what the draft would lead to that is not so now: authority that is gained, and what `check` would find.

    Raises `ToolError` where something would no longer work.
    """
    now, then = look(), look({draft.file: draft.text})
    known = {finding.text for finding in check(now)}
    news = [finding for finding in check(then) if finding.text not in known]
    if errors := [finding for finding in news if finding.severity == "error"]:
        raise ToolError(" ".join(_error_in(draft, finding) for finding in errors))
    powers = gained_privileges(now, then, draft.name)
    return (*powers, *(f"{finding.severity.capitalize()}: {finding.text}" for finding in news))


def _error_in(draft: Draft, finding: Finding) -> str:
    """Say what would be wrong, and where; the place in another file would be none of the draft's."""
    if finding.file != draft.file:
        return f"That would break {finding.file.stem}: {finding.text}"
    return f"objects/{draft.file.name}:{finding.at.line}:{finding.at.column}: {finding.text}"


# Making it


def _name_in(text: str) -> str:
    """Return what a definition says that it is called; what is wrong with the rest is said later."""
    nameless = Path("objects/proposed.yaml")
    try:
        data = parse(text, nameless, DefinitionError).data
        name = data.get("name") if isinstance(data, dict) else None
        if isinstance(name, str) and re.fullmatch(NAME, name):
            return name
        parse_definition(text, nameless)
    except DefinitionError as error:
        raise ToolError(_in_words(error, nameless)) from error
    return nameless.stem


def _rewritten(text: str, file: Path, change: DefinitionChange) -> str:
    if file.suffix != ".md":
        return _changed(text, file, change)
    start, end, body = _parts(text)
    front = _changed(
        text[start:end], file, DefinitionChange(description=change.description, add=change.add, remove=change.remove)
    )
    below = text[body:]
    if change.prompt is not None:
        lead, trail = len(below) - len(below.lstrip()), len(below.rstrip())
        below = below[:lead] + change.prompt.strip() + below[trail:]
    return text[:start] + front + text[end:body] + below


def _parts(text: str) -> tuple[int, int, int]:
    """Return where the front matter of a Markdown file begins and ends, and where the text below begins."""
    first, second, *_ = re.finditer(r"^---[ \t\r]*(?:\n|\Z)", text, re.MULTILINE)
    return first.end(), second.start(), second.end()


def _changed(text: str, file: Path, change: DefinitionChange) -> str:
    """Change a YAML text, and make sure that it says what it is to say and nothing else."""
    data = parse(text.replace("\r\n", "\n"), file, DefinitionError).data
    listed = data.get("capabilities") or []
    gone = _indices(listed, change.remove)
    after, wanted = text, dict(data)
    for key, value in (("description", change.description), ("prompt", change.prompt)):
        if value is not None and value.strip() != str(data.get(key) or "").strip():
            after = with_text(after, key, value.strip(), before="prompt")
            wanted[key] = value.strip()
    for index in sorted(gone, reverse=True):
        after = without_item(after, "capabilities", index)
    if change.add:
        after = with_items(after, "capabilities", change.add, before="prompt")
    if gone or change.add:
        wanted["capabilities"] = [*(item for index, item in enumerate(listed) if index not in gone), *change.add]
    if after != text and _stripped(parse(after.replace("\r\n", "\n"), file, DefinitionError).data) != _stripped(
        wanted
    ):
        raise Unchangeable("Its file is written in an unusual way.")
    return after


def _indices(listed: list[Any], names: Collection[str]) -> set[int]:
    called = [next(iter(_names(item)), "") for item in listed]
    for name in names:
        if name not in called:
            raise ToolError(f"It has no capability {name!r}. It has: {', '.join(called) or 'none'}.")
    return {index for index, name in enumerate(called) if name in names}


def _names(item: Any) -> Iterator[str]:
    if isinstance(item, str):
        yield item
    else:
        yield from (str(item[key]) for key in ("po", "tool", "mcp") if item.get(key) is not None)


def _stripped(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what counts of a definition: white space around texts does not, and lists are lists."""
    return {key: value.strip() if isinstance(value, str) else _plain(value) for key, value in data.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


# Looking at it


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ToolError("The text has half a character (a lone surrogate) in it.") from error


def _sound(draft: Draft, folder: Path) -> Draft:
    """Return the draft, which can be read as a definition, and shown to a person as what it is."""
    if len(draft.after) > MOST_BYTES:
        raise ToolError(f"A definition has at most {MOST_BYTES:,} bytes; this one has {len(draft.after):,}.")
    _refuse_unseen(draft.after.decode(), (draft.before or b"").decode())
    try:
        parse_definition(draft.text, draft.file)
    except DefinitionError as error:
        raise ToolError(_in_words(error, draft.file.relative_to(folder))) from error
    return draft


def _refuse_unseen(text: str, before: str = "") -> None:
    """Raise `ToolError` where a text has characters that cannot be seen, more than there were before."""
    for character in sorted(_unseen(text) - _unseen(before)):
        raise ToolError(f"The character U+{ord(character):04X} cannot be seen; a definition does without it.")


def _unseen(text: str) -> Counter[str]:
    """Count the characters that cannot be seen, where they have no business."""
    rest = _MEANT.sub("", text)
    return Counter(each for each in rest if unicodedata.category(each) in _UNSEEN or _BLANK.match(each))


def _in_words(error: DefinitionError, file: Path) -> str:
    place = ":".join(str(part) for part in (file.as_posix(), error.line, error.column) if part is not None)
    return f"{place}: {error.problem} {error.hint}".rstrip()
