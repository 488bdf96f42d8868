import json
import re
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prompt_objects.config.definition import Capability, Definition, definition_schema, load_definition
from prompt_objects.config.limits import Limits, LimitsConfig
from prompt_objects.environment.catalog import find_definitions
from prompt_objects.errors import DefinitionError
from tests.support.paths import DOCS

Write: TypeAlias = Callable[..., Path]

MINIMAL = "name: reviewer\nprompt: You review.\n"
FULL = """\
name: reviewer                     # equals the file's stem
description: Reviews a diff and reports defects
model: {use: fast, temperature: 0.5, fallback: [slow]}
capabilities:
  - read_file                      # a tool or a prompt object
  - po: tester
    context: continue
  - tool: write_file
    approval: ask
  - mcp: github
    tools: ["search_*"]
limits: {requests: 30, tokens: 200000, cost: 0.50, seconds: 600, depth: 3, parallel: 2}
templates: {code review: [{role: user, content: "Review this diff: …"}]}
prompt: |
  You review diffs.

  Carefully.
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str | bytes, name: str = "reviewer.yaml") -> Path:
        file = tmp_path / name
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    return write


def test_only_name_and_prompt_are_required(write: Write) -> None:
    file = write(MINIMAL)
    digest = sha256(MINIMAL.encode()).hexdigest()
    assert load_definition(file) == Definition(file=file, digest=digest, name="reviewer", prompt="You review.")


def test_every_key_is_read(write: Write) -> None:
    definition = load_definition(write(FULL))
    assert definition.description == "Reviews a diff and reports defects"
    assert definition.prompt == "You review diffs.\n\nCarefully."
    assert definition.model is not None
    assert (definition.model.use, definition.model.temperature, definition.model.at) == ("fast", 0.5, (3, 14))
    assert definition.model.fallback == ("slow",)
    assert definition.capabilities == (
        Capability(kind="any", name="read_file", at=definition.capabilities[0].at),
        Capability(kind="po", name="tester", context="continue", at=definition.capabilities[1].at),
        Capability(kind="tool", name="write_file", approval="ask", at=definition.capabilities[2].at),
        Capability(kind="mcp", name="github", tools=("search_*",), at=definition.capabilities[3].at),
    )
    assert [capability.at for capability in definition.capabilities] == [(5, 5), (6, 9), (8, 11), (10, 10)]
    assert definition.limits == Limits(requests=30, tokens=200_000, cost=0.5, seconds=600, depth=3, parallel=2)
    assert definition.templates == {"code review": ({"role": "user", "content": "Review this diff: …"},)}


@pytest.mark.parametrize(
    ("given", "use"), [("gpt-5", "gpt-5"), ("default", None), ("{temperature: 1}", None), ("'7'", "7")]
)
def test_a_model_is_a_name_or_the_default(write: Write, given: str, use: str | None) -> None:
    model = load_definition(write(MINIMAL + f"model: {given}\n")).model
    assert model is not None
    assert model.use == use


def test_a_key_without_a_value_counts_as_omitted(write: Write) -> None:
    keys = ("description", "model", "capabilities", "limits", "templates")
    definition = load_definition(write(MINIMAL + "".join(f"{key}:\n" for key in keys)))
    assert definition == Definition(
        file=definition.file, name="reviewer", prompt="You review.", digest=definition.digest
    )


def test_the_old_key_of_the_request_limit_is_read_with_a_notice(write: Write) -> None:
    definition = load_definition(write(MINIMAL + "limits:\n  turns: 3\n"))
    assert definition.limits == Limits(requests=3)
    (notice,) = definition.notices
    assert notice.startswith(f"{definition.file}:4:3: `limits.turns` is called `limits.requests` now.")


def test_the_environments_limits_are_upper_bounds_and_defaults(write: Write) -> None:
    file = write(MINIMAL + "limits: {requests: 30, depth: 1}\n")
    bounds = LimitsConfig(requests=10, depth=2, seconds=60)
    assert load_definition(file, bounds=bounds).limits == Limits(requests=10, depth=1, seconds=60)


@pytest.mark.parametrize(
    ("line", "column", "problem", "hint"),
    [
        ("limits: {requests: many}", 20, "`limits.requests` must be a whole number from 1 to 1000, not 'many'", ""),
        ("limits: {requests: 0}", 20, "from 1 to 1000, not the number 0", ""),
        ("limits: {requests: 2.5}", 20, "must be a whole number from 1 to 1000, not the number 2.5", ""),
        ("limits: {requests: yes}", 20, "not the yes/no value yes", ""),
        ("limits: {depth: 33}", 17, "`limits.depth` must be a whole number from 0 to 32", ""),
        ("limits: {tokens: 0}", 18, "`limits.tokens` must be a whole number of at least 1", ""),
        ("limits: {cost: -1}", 16, "`limits.cost` must be a number above 0, not the number -1", ""),
        ("limits: {cost: .nan}", 16, "not '.nan'", ""),
        ("limits: {requets: 5}", 10, "Unknown key 'requets' in `limits`", "Did you mean 'requests'?"),
        ("limits: {turns: many}", 17, "`limits.requests` must be a whole number", ""),
        ("limits: {requests: 2, turns: 3}", 23, "has both `requests` and its old name `turns`", "Remove `turns`."),
        ("limits: 5", 9, "`limits` must be a mapping of keys to values, not the number 5", ""),
        ("capabilites: [a]", 1, "Unknown key 'capabilites'", "Did you mean 'capabilities'?"),
        ("zzz: 1", 1, "Unknown key 'zzz'", "one of: name, prompt, description"),
        ("'x` - at `$.name': 1", 1, "The key 'x` - at `$.name' contains a backtick", "Remove"),
        ("capabilities: reader", 15, "`capabilities` must be a list, not 'reader'", ""),
        ("capabilities: [read file]", 16, "must be a name of at most 64 letters", ""),
        ("capabilities: [a, {po: on}]", 24, "`capabilities[1].po` must be a name", 'Quote it: "on"'),
        ("capabilities: [{}]", 16, "must have exactly one of `po`, `tool` and `mcp`", ""),
        ("capabilities: [{po: a, tool: b}]", 16, "must have exactly one of", ""),
        ("capabilities: [{pos: a}]", 17, "Unknown key 'pos' in `capabilities[0]`", "Did you mean 'po'?"),
        ("capabilities: [{po: a, approval: ask}]", 24, "`approval` belongs to `tool` and `mcp`, not to `po`", ""),
        ("capabilities: [{tool: a, context: fresh}]", 26, "`context` belongs to `po`, not to `tool`", ""),
        ("capabilities: [{po: a, tools: [b]}]", 24, "`tools` belongs to `mcp`, not to `po`", ""),
        ("capabilities: [{tool: a, approval: aks}]", 36, "not 'aks'", "Did you mean 'ask'?"),
        ("capabilities: [{po: a, context: Continue}]", 33, "not 'Continue'", "Did you mean 'continue'?"),
        ("capabilities: [a, b, {po: a}]", 27, "'a' is given twice; first in line 3", "Remove one"),
        ("model: 4", 8, "not the number 4", 'Quote it: "4"'),
        ("model: {us: a}", 9, "Unknown key 'us' in `model`", "Did you mean 'use'?"),
        ("model: {temperature: hot}", 22, "`model.temperature` must be a number from 0 to 2, not 'hot'", ""),
        ("description: on", 14, "`description` must be text, not the yes/no value on", 'Quote it: "on"'),
        ("templates: {a: [], b: [{role: usr, content: x}]}", 31, "`templates.b[0].role`", "'user'"),
        ("templates: {a: [{role: user}]}", 17, "`templates.a[0]` has no `content`", ""),
        ("templates: {a: [], b: 3, c: []}", 23, "`templates.b` must be a list, not the number 3", ""),
        ("name: again", 1, "The key 'name' is given twice", "Remove one"),
    ],
)
def test_an_error_has_the_position_the_text_and_a_similar_valid_word(
    write: Write, line: str, column: int, problem: str, hint: str
) -> None:
    file = write(f"{MINIMAL}{line}\n")
    with pytest.raises(DefinitionError) as caught:
        load_definition(file)
    assert str(caught.value).startswith(f"{file}:3:{column}: ")
    assert problem in caught.value.problem
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("text", "line", "column", "problem"),
    [
        ("", 1, 1, "The file is empty"),
        ("# c\n- a\n", 2, 1, "The file must be a mapping of keys to values, not a list"),
        ("hello\n", 1, 1, "The file must be a mapping of keys to values, not text"),
        ("\nname: reviewer\n", 2, 1, "There is no `prompt`"),
        ("prompt: a\n", 1, 1, "There is no `name`"),
        ("name: other\nprompt: a\n", 1, 7, "`name` is 'other', but the file is called 'reviewer.yaml'"),
        ("name: no\nprompt: a\n", 1, 7, "not the yes/no value no"),
        ('name: "reviewer\\n"\nprompt: a\n', 1, 7, r"not 'reviewer\n'"),
        ("name: reviewer\nprompt: ' '\n", 2, 9, "`prompt` must be text that is not empty"),
        ("name: reviewer\nprompt:\n", 2, 8, "`prompt` has no value"),
    ],
)
def test_a_file_that_is_not_a_definition_is_an_error(
    write: Write, text: str, line: int, column: int, problem: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        load_definition(write(text))
    assert problem in caught.value.problem
    assert (caught.value.line, caught.value.column) == (line, column)


def test_an_error_found_later_has_its_position_too(write: Write) -> None:
    definition = load_definition(write(MINIMAL + "capabilities:\n  - raeder\n"))
    capability = definition.capabilities[0]
    error = definition.error_at("Unknown capability 'raeder'.", capability.at, hint="Did you mean 'reader'?")
    assert str(error) == f"{definition.file}:4:5: Unknown capability 'raeder'."


def test_a_markdown_file_with_front_matter_defines_the_same_object(write: Write) -> None:
    text = (
        "---\nname: reader\ndescription: Reads\ncapabilities:\n  - read_file\n---\n\n# Reader\n\n---\n\nYou read.\n"
    )
    definition = load_definition(write(text, "reader.md"))
    assert (definition.name, definition.description) == ("reader", "Reads")
    assert definition.prompt == "# Reader\n\n---\n\nYou read."
    assert definition.capabilities == (Capability(kind="any", name="read_file", at=definition.capabilities[0].at),)
    assert definition.capabilities[0].at == (5, 5)
    from_windows = write(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(), "reader.md")
    assert load_definition(from_windows) == definition


@pytest.mark.parametrize(
    ("text", "position", "problem", "hint"),
    [
        ("# Reader\n", (1, 1), "no front matter", "Start with a line ---"),
        ("\n---\nname: reader\n---\nhi\n", (1, 1), "no front matter", "Start with a line ---"),
        ("---\nname: reader\n", (1, 1), "not closed", "End it with a line ---"),
        ("---\n---\nhi\n", (1, 1), "front matter is empty", "`name`"),
        ("---\nname: reader\n---\n \n", (3, 1), "There is no prompt", "below the second ---"),
        ("---\nname: reader\nprompt: a\n---\nhi\n", (3, 1), "is the text below", "Move it there"),
        ("---\nname: reader\ncapabilites: []\n---\nhi\n", (3, 1), "'capabilites'", "'capabilities'"),
        ("---\nname: reader\n\tx: 1\n---\nhi\n", (3, 1), "'x: 1' is indented with a tab", "spaces"),
        ("---\nname: writer\n---\nhi\n", (2, 7), "the file is called 'reader.md'", "same"),
        ("---\n- a\n---\nhi\n", (2, 1), "must be a mapping", ""),
        ("---\ndescription: x\n---\nhi\n", (2, 1), "There is no `name`", ""),
    ],
)
def test_positions_in_front_matter_are_positions_in_the_file(
    write: Write, text: str, position: tuple[int, int], problem: str, hint: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        load_definition(write(text, "reader.md"))
    assert problem in caught.value.problem
    assert (caught.value.line, caught.value.column) == position
    assert hint in caught.value.hint


def test_an_invalid_entry_among_thousands_is_found_quickly(write: Write) -> None:
    entries = "".join(f"  t{number}: [{{role: user, content: x}}]\n" for number in range(14_000))
    started = time.process_time()
    with pytest.raises(DefinitionError) as caught:
        load_definition(write(f"{MINIMAL}templates:\n{entries}  z: [{{role: u, content: x}}]\n"))
    assert (caught.value.line, caught.value.column) == (14_004, 14)
    assert time.process_time() - started < 5


def test_definitions_are_found_by_name_and_a_second_file_for_a_name_is_an_error(tmp_path: Path) -> None:
    for name in ("reader.yaml", "reader.md", "writer.yml", "greeter.md", ".hidden.yaml", "critic.yaml~", "notes.txt"):
        (tmp_path / name).write_text("---\n")
    (tmp_path / "README.md").write_text("# Our objects\n")
    found, errors = find_definitions(tmp_path)
    assert {name: file.name for name, file in found.items()} == {
        "greeter": "greeter.md",
        "reader": "reader.yaml",
        "writer": "writer.yml",
    }
    assert [str(error) for error in errors] == [f"{tmp_path / 'reader.md'}: reader.yaml already defines 'reader'."]


def test_a_missing_folder_is_empty_and_a_file_instead_of_a_folder_is_an_error(tmp_path: Path) -> None:
    assert find_definitions(tmp_path / "gone") == ({}, [])
    (tmp_path / "file").write_text("")
    found, errors = find_definitions(tmp_path / "file")
    assert found == {}
    assert "cannot be read: Not a directory" in str(errors[0])


_pieces = st.sampled_from(
    [
        *(
            "name: x",
            "prompt: |",
            "\n",
            "\n  ",
            "- ",
            ": ",
            "---",
            "&a ",
            "*a",
            "[",
            "]",
            "{",
            "}",
            "'",
            '"',
            "!!x ",
            "\t",
        ),
        *(
            "capabilities:",
            "po",
            "limits: ",
            "requests",
            "turns",
            "templates: ",
            "? ",
            "<<",
            "no",
            "1e9",
            "\\u",
            "\ufeff",
            "\x85",
            "#",
        ),
    ]
)


@pytest.mark.parametrize("name", ["x.yaml", "x.md"])
@settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=200) | st.lists(_pieces, max_size=40).map("".join).map(str.encode))
def test_any_bytes_are_a_definition_or_a_definition_error(tmp_path: Path, name: str, raw: bytes) -> None:
    for start in (b"", b"---\nname: x\n", b"name: x\nprompt: y\n"):
        file = tmp_path / name
        file.write_bytes(start + raw)
        try:
            definition = load_definition(file)
        except DefinitionError:
            continue
        assert definition.name == "x"
        assert definition.prompt


PAGE = DOCS / "objects.md"
EXAMPLES = re.findall(r"```(yaml|markdown)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_page_about_objects_has_examples_of_both_forms() -> None:
    assert {form for form, _ in EXAMPLES} == {"yaml", "markdown"}


@pytest.mark.parametrize(("form", "text"), EXAMPLES)
def test_an_example_on_the_page_about_objects_loads(write: Write, form: str, text: str) -> None:
    name = re.search(r"^name: (.*)$", text, re.MULTILINE)
    assert name is not None
    assert load_definition(write(text, f"{name[1]}.{'md' if form == 'markdown' else 'yaml'}")).name == name[1]


def test_the_page_about_objects_names_every_key() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for part in definition_schema()["$defs"].values():
        for key in part["properties"]:
            assert re.search(rf"\b{key}\b", page), key


def _keys(schema: dict[str, Any], name: str) -> set[str]:
    return set(schema["$defs"][name]["properties"])


def test_the_schema_describes_every_key_and_allows_no_other() -> None:
    schema = definition_schema()
    assert json.dumps(schema)
    for name, part in schema["$defs"].items():
        assert part["additionalProperties"] is False, name
        for key, described in part["properties"].items():
            assert described.get("description"), f"{name}.{key}"
    assert "/".join(schema["$ref"].split("/")[:-1]) == "#/$defs"


def test_the_schema_and_the_definition_have_the_same_keys() -> None:
    schema = definition_schema()
    form = schema["$ref"].split("/")[-1]
    assert _keys(schema, form) == set(Definition.__struct_fields__) - {"file", "digest", "notices"}
    assert schema["$defs"][form]["required"] == ["name", "prompt"]
    old_name_of_requests = "turns"
    assert _keys(schema, "LimitsConfig") - {old_name_of_requests} == set(Limits.__struct_fields__)
    defaults = msgspec.structs.asdict(Limits())
    assert {key: value for key, value in defaults.items() if value is not None} == {
        "requests": 25,
        "depth": 4,
        "parallel": 4,
    }
