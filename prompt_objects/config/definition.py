"""Definitions of prompt objects: YAML files, or Markdown files with YAML front matter."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from prompt_objects.config.limits import Limits, LimitsConfig, accept_old_key
from prompt_objects.config.permissions import ApprovalPolicy
from prompt_objects.config.yaml.convert import NonEmpty, convert, expected, label
from prompt_objects.config.yaml.document import TOP, Position, YamlDocument, front_matter, parse, quoted, read_text
from prompt_objects.errors import DefinitionError
from prompt_objects.message import Message
from prompt_objects.utils.text import NAME_PATTERN

CapabilityKind: TypeAlias = Literal["any", "po", "tool", "mcp"]


class ModelChoice(Struct, frozen=True, kw_only=True):
    """The model that an object selects: a key of environment.yaml's `models`, or a model ID.

    `use` is None for the environment's default model, which is also called `default`.
    """

    use: str | None = None
    temperature: float | None = None
    fallback: tuple[str, ...] = ()
    at: Position


class Capability(Struct, frozen=True, kw_only=True):
    """A tool, a prompt object or an MCP server that an object may use; kind `any` is a tool or a prompt object.

    `context` is for prompt objects: each request starts `fresh` or continues the last one. `approval` is for tools
    and MCP servers; None means the environment's policy. `allow` maps arguments to patterns within which a tool
    runs without approval. `tools` are patterns of an MCP server's tools; empty means all of them.
    """

    kind: CapabilityKind
    name: str
    at: Position
    context: Literal["fresh", "continue"] = "fresh"
    approval: ApprovalPolicy | None = None
    allow: Mapping[str, tuple[str, ...]] = {}
    tools: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """A key that is unique within an object: a server may have the same name as a tool."""
        return f"mcp: {self.name}" if self.kind == "mcp" else self.name


class Definition(Struct, frozen=True, kw_only=True):
    """The content of a prompt object's file.

    `digest` is the SHA-256 of the file's text; `notices` are sentences for the author of the file.
    """

    file: Path
    name: str
    prompt: str
    digest: str = ""
    description: str = ""
    model: ModelChoice | None = None
    capabilities: tuple[Capability, ...] = ()
    limits: Limits = Limits()
    templates: Mapping[str, tuple[Message, ...]] = {}
    notices: tuple[str, ...] = ()

    def error_at(self, problem: str, at: Position, *, hint: str = "") -> DefinitionError:
        """Return the error about a part of the file, at that part's position."""
        return DefinitionError(problem, file=self.file, line=at.line, column=at.column, hint=hint)


# In Python, `$` also matches before a final line feed; the lookahead makes it match as in JSON Schema.
_NAME = rf"^{NAME_PATTERN}$(?!\n)"
_Name: TypeAlias = Annotated[
    str, expected("a name of at most 64 letters, digits, _ and -, starting with a letter", pattern=_NAME)
]


class _ModelSchema(Struct, frozen=True, forbid_unknown_fields=True):
    use: Annotated[NonEmpty, Meta(description="A key of environment.yaml's models, or a model ID.")] = "default"
    temperature: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None, Meta(description="The sampling temperature of the model.")
    ] = None
    fallback: Annotated[
        tuple[NonEmpty, ...], Meta(description="Models to try, in order, if the first does not respond.")
    ] = ()


class _CapabilitySchema(Struct, frozen=True, forbid_unknown_fields=True):
    """The long form of a capability: exactly one of `po`, `tool` and `mcp`."""

    po: Annotated[_Name | None, Meta(description="Another prompt object.")] = None
    tool: Annotated[_Name | None, Meta(description="A tool.")] = None
    mcp: Annotated[_Name | None, Meta(description="An MCP server.")] = None
    context: Annotated[
        Literal["fresh", "continue"] | None,
        Meta(description="With po: whether each request starts fresh (the default) or continues the last one."),
    ] = None
    approval: Annotated[
        ApprovalPolicy | None,
        Meta(description="With tool or mcp: whether it always runs, needs approval, or never runs."),
    ] = None
    allow: Annotated[
        dict[str, NonEmpty | tuple[NonEmpty, ...]] | None,
        Meta(description="With tool or mcp: arguments, such as path, and patterns with which it needs no approval."),
    ] = None
    tools: Annotated[
        tuple[NonEmpty, ...] | None, Meta(description="With mcp: which of its tools, such as search_*.")
    ] = None


class _TemplateMessage(Struct, frozen=True, forbid_unknown_fields=True):
    role: Annotated[Literal["user", "assistant", "system"], Meta(description="The author of the message.")]
    content: Annotated[NonEmpty, Meta(description="The text of the message.")]


class _DefinitionSchema(Struct, frozen=True, forbid_unknown_fields=True):
    """A prompt object's definition."""

    name: Annotated[_Name, Meta(description="The name; the same as the file's, without its suffix.")]
    prompt: Annotated[NonEmpty, Meta(description="The system prompt.")]
    description: Annotated[
        str | None, Meta(description="Its purpose. Other objects read it to decide which object to call.")
    ] = None
    model: Annotated[
        NonEmpty | _ModelSchema | None,
        Meta(description="A key of environment.yaml's models, or a model ID; the default when left out."),
    ] = None
    capabilities: Annotated[
        tuple[_Name | _CapabilitySchema, ...] | None,
        Meta(description="Tools and other prompt objects that it may use, by name."),
    ] = None
    limits: Annotated[LimitsConfig | None, Meta(description="Limits of one message.")] = None
    templates: Annotated[
        dict[str, tuple[_TemplateMessage, ...]] | None,
        Meta(description="Messages, by the template's name, that a session may start with."),
    ] = None


_KINDS_OF_KEY = {"context": ("po",), "approval": ("tool", "mcp"), "allow": ("tool", "mcp"), "tools": ("mcp",)}


def load_definition(file: Path, *, bounds: LimitsConfig = LimitsConfig()) -> Definition:  # noqa: B008 (immutable)
    """Load a prompt object's file; `bounds` are the environment's limits. Raises `DefinitionError`."""
    return parse_definition(read_text(file, DefinitionError), file, bounds=bounds)


def parse_definition(text: str, file: Path, *, bounds: LimitsConfig = LimitsConfig()) -> Definition:  # noqa: B008 (immutable)
    """Parse the text of a `file`, which need not exist; raises what `load_definition` raises."""
    document = _parse(text, file)
    if isinstance(document.data, dict) and "history" in document.data:
        at = document.position_of("history", key=True)
        problem = "`history` belongs in sessions now."
        hint = "Run: prompt-objects migrate. If the key is still there, remove it."
        raise document.error_at(problem, at, hint=hint)
    notices = accept_old_key(document)
    given = convert(document, _DefinitionSchema)
    if given.name != file.stem:
        problem = f"`name` is {quoted(given.name)}, but the file is called {quoted(file.name)}."
        raise document.error_at(problem, document.position_of("name"), hint="Make them the same.")
    return Definition(
        file=file,
        digest=sha256(text.encode(errors="replace")).hexdigest(),
        name=given.name,
        prompt=given.prompt.strip(),
        description=(given.description or "").strip(),
        model=_model(document, given.model),
        capabilities=_capabilities(document, given.capabilities or ()),
        limits=Limits.resolve(given.limits or LimitsConfig(), bounds),
        templates={
            name: tuple({"role": message.role, "content": message.content} for message in messages)
            for name, messages in (given.templates or {}).items()
        },
        notices=notices,
    )


def definition_schema() -> dict[str, Any]:
    """Return the JSON Schema of a definition, for editors.

    It accepts what `parse_definition` accepts, except that only the latter compares capabilities with each other, and
    the name with the file's.
    """
    (reference,), definitions = msgspec.json.schema_components([_DefinitionSchema], ref_template="#/$defs/{name}")
    named = {
        name: {key: _with_valid_keys(value) for key, value in schema.items() if key != "title"}
        for name, schema in definitions.items()
    }
    named["_DefinitionSchema"]["properties"]["capabilities"]["anyOf"][0]["uniqueItems"] = True
    named["_CapabilitySchema"]["oneOf"] = [_capability_schema(kind) for kind in ("po", "tool", "mcp")]
    limits = named["LimitsConfig"]
    limits["properties"]["turns"] = {**limits["properties"]["requests"], "deprecated": True}
    limits["not"] = {"required": ["requests", "turns"]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Prompt object",
        **reference,
        "$defs": named,
    }


def _capability_schema(kind: str) -> dict[str, Any]:
    """Return the rules for the long form of a capability of one kind."""
    excluded = [key for key in ("po", "tool", "mcp") if key != kind]
    excluded += [key for key, kinds in _KINDS_OF_KEY.items() if kind not in kinds]
    return {
        "required": [kind],
        "properties": {kind: {"type": "string"}, **{key: {"type": "null"} for key in excluded}},
    }


def _with_valid_keys(schema: Any) -> Any:
    """Return a schema that accepts, in mappings with free keys, the keys that documents may have."""
    if isinstance(schema, list):
        return [_with_valid_keys(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: _with_valid_keys(value) for key, value in schema.items()}
    if isinstance(schema.get("additionalProperties"), dict):
        schema["propertyNames"] = {"pattern": "^[^`]*$"}
    return schema


def _parse(text: str, file: Path) -> YamlDocument:
    if file.suffix == ".md":
        return _parse_front_matter(text, file)
    document = parse(text, file, DefinitionError)
    if document.data is None:
        raise document.error_at("The file is empty.", TOP, hint="It needs `name` and `prompt`.")
    return document


def _parse_front_matter(text: str, file: Path) -> YamlDocument:
    parts = front_matter(text)
    if parts is None:
        is_open = text.partition("\n")[0].rstrip() == "---"
        problem = "The front matter is not closed." if is_open else "There is no front matter."
        hint = "End it with a line ---." if is_open else "Start with a line ---, then `name: …`."
        raise DefinitionError(problem, file=file, line=1, column=1, hint=hint)
    _, yaml, _, body = parts
    # An empty line replaces the first fence, so that line numbers stay the same.
    document = parse("\n" + yaml.removesuffix("\n"), file, DefinitionError)
    if document.data is None:
        raise document.error_at("The front matter is empty.", TOP, hint="It needs `name`.")
    if isinstance(document.data, dict):
        _add_prompt(document, body, Position(yaml.count("\n") + 3, 1))
    return document


def _add_prompt(document: YamlDocument, body: str, at: Position) -> None:
    if "prompt" in document.data:
        problem = "The prompt of a Markdown file is the text below its front matter."
        raise document.error_at(problem, document.position_of("prompt", key=True), hint="Move it there.")
    if not body.strip():
        hint = "Write the prompt below the second ---."
        raise document.error_at("There is no prompt.", Position(at.line - 1, 1), hint=hint)
    document.add("prompt", body, at)


def _model(document: YamlDocument, given: str | _ModelSchema | None) -> ModelChoice | None:
    if given is None:
        return None
    if isinstance(given, str):
        return ModelChoice(use=None if given == "default" else given, at=document.position_of("model"))
    return ModelChoice(
        use=None if given.use == "default" else given.use,
        temperature=given.temperature,
        fallback=given.fallback,
        at=document.position_of("model", "use"),
    )


def _capabilities(document: YamlDocument, given: Iterable[str | _CapabilitySchema]) -> tuple[Capability, ...]:
    capabilities: dict[str, Capability] = {}
    for index, each in enumerate(given):
        if isinstance(each, str):
            capability = Capability(kind="any", name=each, at=document.position_of("capabilities", index))
        else:
            capability = _long_capability(document, index, each)
        key = capability.key
        if key in capabilities:
            first = capabilities[key].at.line
            problem = f"The capability {quoted(capability.name)} is given twice; first in line {first}."
            raise document.error_at(problem, capability.at, hint="Remove one of them.")
        capabilities[key] = capability
    return tuple(capabilities.values())


def _long_capability(document: YamlDocument, index: int, given: _CapabilitySchema) -> Capability:
    path = ("capabilities", index)
    named: dict[CapabilityKind, str | None] = {"po": given.po, "tool": given.tool, "mcp": given.mcp}
    names = [(kind, name) for kind, name in named.items() if name is not None]
    if len(names) != 1:
        problem = f"{label(path)} must have exactly one of `po`, `tool` and `mcp`."
        raise document.error_at(problem, document.position_of(*path))
    kind, name = names[0]
    for key, owners in _KINDS_OF_KEY.items():
        if getattr(given, key) is not None and kind not in owners:
            at = document.position_of(*path, key, key=True)
            owner = " and ".join(f"`{owner}`" for owner in owners)
            raise document.error_at(f"`{key}` belongs to {owner}, not to `{kind}`.", at)
    return Capability(
        kind=kind,
        name=name,
        at=document.position_of(*path, kind),
        context=given.context or "fresh",
        approval=given.approval,
        allow={name: (each,) if isinstance(each, str) else each for name, each in (given.allow or {}).items()},
        tools=given.tools or (),
    )
