"""The findings of a check: their positions and severities."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.analysis.check import check
from prompt_objects.analysis.rules.privileges import gained_privileges
from prompt_objects.analysis.snapshot import EnvironmentSnapshot, SourcePositions
from prompt_objects.config.limits import LimitsConfig
from tests.support.teams import snapshot_of


def findings(folder: Path, objects: Mapping[str, str], **options: Any) -> list[str]:
    """Return the findings as lines: `a:3:16: note: …`."""
    found = map(str, check(snapshot_of(folder, objects, **options)))
    return [line.removeprefix(f"{folder}/").replace(".yaml:", ":", 1) for line in found]


def test_a_valid_environment_has_no_findings(tmp_path: Path) -> None:
    assert findings(tmp_path, {"a": "capabilities: [b, look]", "b": "capabilities: [look]"}) == []
    assert findings(tmp_path, {}) == []


def test_missing_capabilities_are_reported_at_their_positions(tmp_path: Path) -> None:
    lines = findings(tmp_path, {"a": "capabilities:\n  - b\n  - loook\n  - {po: c}\n  - {mcp: hub}", "b": ""})
    assert lines == [
        "a:5:5: error: Capability 'loook': there is no such tool or prompt object. Did you mean 'look'?",
        "a:6:10: error: Capability 'c': there is no such prompt object.",
        "a:7:11: error: Capability 'hub': there is no such MCP server.",
    ]


def test_a_missing_default_object_is_an_error(tmp_path: Path) -> None:
    (line,) = findings(tmp_path, {"anna": ""}, settings="default_object: ana\n", default_object="ana")
    problem = "environment:1:17: error: `default_object` is 'ana', but there is no such prompt object."
    assert line == f"{problem} Did you mean 'anna'?"


def test_an_invalid_definition_is_an_error_and_the_others_are_still_checked(tmp_path: Path) -> None:
    lines = findings(tmp_path, {"a": "capabilities: [b, loook]", "b": "capabilitys: []"})
    assert lines == [
        "a:3:19: error: Capability 'loook': there is no such tool or prompt object. Did you mean 'look'?",
        "b:3:1: error: Unknown key 'capabilitys'. Did you mean 'capabilities'?",
    ]


def test_each_pattern_of_allow_is_explained_in_words(tmp_path: Path) -> None:
    capabilities = """capabilities:
  - {tool: write, allow: {path: [notes/*, notes/, "x/**"]}}
  - tool: send
    allow: {url: "https://h.example/**", text: hello}
  - {tool: start, approval: always, allow: {command: ls}}
  - {mcp: hub, allow: {url: "*"}}"""
    lines = findings(tmp_path, {"a": capabilities}, settings="mcp_servers: {hub: {command: hub}}\n")
    no_folder = "a path has no empty names; for everything below a folder, write notes/**"
    either = "anything directly in notes/, or anything in x/ and its subfolders"
    url = "a URL with the scheme https, the host h.example, the port 443, a path below / and no query"
    assert lines == [
        f"a:4:26: warning: The pattern 'notes/' for path matches nothing: {no_folder}.",
        "a:8:23: warning: The pattern '*' for url matches nothing: a pattern for URLs looks like https://HOST/**.",
        f"a:4:26: note: a may use write without approval if path is {either}.",
        f"a:6:12: note: a may use send without approval if url is {url} and text is exactly hello.",
    ]


def test_a_cycle_is_a_note_at_the_capability_that_closes_it(tmp_path: Path) -> None:
    lines = findings(tmp_path, {"a": "capabilities: [b]", "b": "capabilities: [look, c]", "c": "capabilities: [a]"})
    refused = "the call that closes it is refused, and the caller continues."
    assert lines == [f"c:3:16: note: a → b → c → a is a cycle: {refused}"]


def test_an_object_that_the_root_cannot_reach_is_a_note(tmp_path: Path) -> None:
    objects = {"a": "capabilities: [b]", "b": "", "c": "capabilities: [a]"}
    (line,) = findings(tmp_path, objects)
    assert line == "c:1:7: note: a cannot reach c, directly or through others; only the user can chat with it."
    assert findings(tmp_path, objects, default_object="c") == []


def test_an_object_beyond_the_depth_limits_is_reported_with_the_path(tmp_path: Path) -> None:
    objects = {"a": "capabilities: [b]", "b": "capabilities: [c]", "c": ""}
    (line,) = findings(tmp_path, objects, bounds=LimitsConfig(depth=1))
    assert line == "c:1:7: note: a cannot reach c: the `depth` limits do not allow a → b → c."


def test_a_tool_that_is_usable_only_through_others_is_reported_with_the_shortest_path(tmp_path: Path) -> None:
    objects = {
        "a": "capabilities: [b, c, send]",
        "b": "capabilities: [c, look]",
        "c": "capabilities: [{tool: write, approval: always}, send]",
    }
    unapproved = "only through others, without approval"
    assert findings(tmp_path, objects) == [
        f"a:3:19: warning: a can use write, which changes files, {unapproved}: a → c → write.",
        f"b:3:16: warning: b can use write, which changes files, {unapproved}: b → c → write.",
        "b:3:16: note: b can use send, which sends over the network, only through others: b → c → send.",
    ]


@pytest.mark.parametrize("word", ["", ", approval: always"])
def test_a_tool_that_always_asks_is_a_note_with_any_policy(tmp_path: Path, word: str) -> None:
    team = {"a": "capabilities: [b]", "b": f"capabilities: [{{tool: propose{word}}}]"}
    reached = "a can use propose, which changes files, only through others: a → b → propose."
    assert findings(tmp_path, team, default_object="a") == [f"a:3:16: note: {reached}"]


def test_forbidden_tools_and_those_beyond_the_depth_limit_are_not_reported(tmp_path: Path) -> None:
    objects = {"a": "capabilities: [b]", "b": "capabilities: [{tool: start, approval: never}]"}
    assert findings(tmp_path, objects) == []
    deep = {"a": "capabilities: [b]\nlimits: {depth: 1}", "b": "capabilities: [c]", "c": "capabilities: [start]"}
    assert [line for line in findings(tmp_path, deep, default_object="a") if line.startswith("a:")] == []


def indirect_write(how: str) -> str:
    """Return the start of the finding that a can write through others: a note if each call needs approval."""
    severity = "warning" if how else "note"
    return f"{severity}: a can use write, which changes files, only through others{how}"


@pytest.mark.parametrize(
    ("own", "theirs", "settings", "how"),
    [
        (None, "approval: always", "", ", without approval"),
        (None, "allow: {path: '*'}", "", ", without approval within patterns"),
        (None, "", "", ""),
        (None, "", "approval: {write: always}\n", ", without approval"),
        (None, "approval: ask", "approval: {write: always}\n", ""),
        (None, "approval: always", "approval: {write: never}\n", None),
        ("approval: never", "approval: always", "", None),
        ("approval: ask", "allow: {path: '*'}", "", None),
        ("", "approval: always", "", None),
        ("allow: {path: 'src/*'}", "approval: always", "", None),
    ],
)
def test_reported_access_takes_every_policy_on_the_path_into_account(
    tmp_path: Path, own: str | None, theirs: str, settings: str, how: str | None
) -> None:
    mine = "" if own is None else f", {{tool: write, {own}}}"
    objects = {"a": f"capabilities: [b{mine}]", "b": f"capabilities: [{{tool: write, {theirs}}}]"}
    expected = [] if how is None else [f"a:3:16: {indirect_write(how)}: a → b → write."]
    found = findings(tmp_path, objects, settings=settings)
    assert [line for line in found if "without approval if" not in line] == expected


@pytest.mark.parametrize(
    ("between", "how"), [("approval: never", None), ("approval: ask", ""), ("approval: always", ", without approval")]
)
def test_a_policy_on_the_path_restricts_access_and_a_longer_path_around_it_is_found(
    tmp_path: Path, between: str, how: str | None
) -> None:
    objects = {
        "a": "capabilities: [b]",
        "b": f"capabilities: [c, {{tool: write, {between}}}]",
        "c": "capabilities: [{tool: write, approval: always}]",
    }
    expected = [] if how is None else [f"a:3:16: {indirect_write(how)}: a → b → write."]
    assert findings(tmp_path, objects) == expected
    around = {**objects, "a": "capabilities: [b, d]", "d": "capabilities: [e]", "e": "capabilities: [c]"}
    found = [line for line in findings(tmp_path, around) if line.startswith("a:")]
    path = "a:3:16: {}: a → b → write." if between == "approval: always" else "a:3:19: {}: a → d → e → c → write."
    assert found == [path.format(indirect_write(", without approval"))]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("approval: never", "", "a could use write, which changes files."),
        ("", "approval: always", "a could use write, which changes files, without approval."),
        ("", "allow: {path: x}", "a could use write, which changes files, without approval within patterns."),
        (
            "allow: {path: x}",
            "allow: {path: y}",
            "a could use write, which changes files, without approval within patterns.",
        ),
        ("approval: always", "", None),
        ("approval: always", "allow: {path: x}", None),
        ("allow: {path: x}", "approval: never", None),
    ],
)
def test_a_capability_is_gained_if_it_needed_more_approval_before(
    tmp_path: Path, before: str, after: str, expected: str | None
) -> None:
    def with_rule(name: str, rule: str) -> EnvironmentSnapshot:
        (tmp_path / name).mkdir()
        return snapshot_of(tmp_path / name, {"a": f"capabilities: [{{tool: write, {rule}}}]"})

    gained = list(gained_privileges(with_rule("before", before), with_rule("after", after), "a"))
    assert gained == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("own", "theirs", "is_covered"),
    [
        ("{mcp: hub}", "{mcp: hub}", True),
        ("{mcp: hub}", "{mcp: hub, tools: [search_*]}", True),
        ("{mcp: hub, tools: [search_*]}", "{mcp: hub, tools: [search_*]}", True),
        ("{mcp: hub, tools: [search_*]}", "{mcp: hub, tools: [search_*, make_*]}", False),
        ("{mcp: hub, tools: [search_*]}", "{mcp: hub}", False),
        ("look", "{mcp: hub}", False),
    ],
)
def test_the_tools_of_a_server_count_as_authority(tmp_path: Path, own: str, theirs: str, is_covered: bool) -> None:
    objects = {"a": f"capabilities: [b, {own}]", "b": f"capabilities: [{theirs}]"}
    lines = findings(tmp_path, objects, settings="mcp_servers: {hub: {command: hub}}\n")
    note = "a:3:16: note: a can use the tools of the MCP server hub only through others: a → b → hub."
    assert lines == ([] if is_covered else [note])


@pytest.mark.parametrize(("server", "effect"), [("command: hub", "execute"), ("url: 'https://hub/'", "network")])
def test_the_policy_of_a_server_is_that_of_the_effect_of_its_tools(tmp_path: Path, server: str, effect: str) -> None:
    objects = {"a": "capabilities: [b]", "b": "capabilities: [{mcp: hub}]"}
    for each in ("execute", "network"):
        settings = f"mcp_servers: {{hub: {{{server}}}}}\napproval: {{{each}: never}}\n"
        assert (findings(tmp_path, objects, settings=settings) == []) is (each == effect)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "limits: {requests: 3}",
            "3:20: note: limits.requests has no effect: a has no capabilities, so it sends one request per message.",
        ),
        ("limits: {depth: 3}", "3:17: note: limits.depth has no effect: a has no delegates."),
        ("limits: {tokens: 9}", None),
        (
            "limits: {turns: 3}",
            "3:17: note: limits.requests has no effect: a has no capabilities, so it sends one request per message.",
        ),
        (
            "capabilities: [look]\nlimits: {depth: 0, requests: 3}",
            "4:17: note: limits.depth has no effect: a has no delegates.",
        ),
        (
            "capabilities: [b]\nlimits: {depth: 0}",
            "4:17: warning: limits.depth is 0, so a can never call its delegates: b.",
        ),
        (
            "capabilities: [b]\nlimits:\n  requests: 31",
            "5:13: note: limits.requests is 31, more than the environment's limit, which is 30.",
        ),
        (
            "capabilities: [b]\nlimits: {depth: 5}",
            "4:17: note: limits.depth is 5, more than the environment's limit, which is 4.",
        ),
        ("capabilities: [b]\nlimits: {requests: 30, depth: 4, cost: 2}", None),
    ],
)
def test_ineffective_limits_are_reported(tmp_path: Path, text: str, expected: str | None) -> None:
    lines = findings(tmp_path, {"a": text, "b": ""}, bounds=LimitsConfig(requests=30, cost=2.0))
    assert [line for line in lines if "limits." in line] == ([f"a:{expected}"] if expected else [])


NOT_COUNTED = "limits.cost does not count responses of"
NO_PRICES = (
    "prices are not known. Set `prices` under `models` in environment.yaml; "
    "the extra `prices` has those of public models."
)


def test_a_cost_limit_that_does_not_count_some_models_is_a_warning_at_its_position(tmp_path: Path) -> None:
    objects = {
        "a": "capabilities: [b]\nmodel: {use: dear, fallback: [quick]}\nlimits: {cost: 1}",
        "b": "model: {use: free, fallback: [slow, dear]}",
        "c": "capabilities: [a]\nlimits: {requests: 3}",
    }
    assert findings(tmp_path, objects, default_object="c") == []
    (line,) = findings(tmp_path, objects, default_object="c", unpriced=["quick", "slow", None])
    assert line == f"a:5:16: warning: {NOT_COUNTED} 'quick' and 'slow': {NO_PRICES}"
    found = findings(
        tmp_path,
        objects,
        settings="limits:\n  cost: 2\n",
        bounds=LimitsConfig(cost=2.0),
        default_object="c",
        unpriced=["free", None],
    )
    assert [line for line in found if "warning" in line] == [
        f"a:5:16: warning: {NOT_COUNTED} 'free': {NO_PRICES}",
        f"environment:2:9: warning: {NOT_COUNTED} 'free' and the default model: {NO_PRICES}",
    ]


def test_unused_and_unknown_models_are_reported(tmp_path: Path) -> None:
    objects = {
        "a": "capabilities: [b, c]\nmodel: {use: quick, fallback: [slow, carefull, rehearsal]}",
        "b": "model: gpt-9",
        "c": "model: default",
    }
    models = (
        "models:\n  quick: {model: q}\n  slow: {model: s}\n  careful: {model: c}\n  main: {model: m}\nmodel: main\n"
    )
    unused = "it is used only if the user selects it."
    unknown = "is not in `models` of environment.yaml, so the server gets this name."
    assert findings(tmp_path, objects, settings=models) == [
        f"a:4:38: warning: 'carefull' {unknown} Did you mean 'careful'?",
        f"b:3:8: note: 'gpt-9' {unknown}",
        f"environment:4:3: note: No prompt object selects the model 'careful'; {unused}",
    ]
    assert (
        findings(tmp_path, objects) == []
    )  # without `models` in environment.yaml, every name is a model ID of a server


def test_an_unused_server_is_a_note(tmp_path: Path) -> None:
    settings = "mcp_servers:\n  hub: {command: hub}\n  other: {command: o}\n"
    lines = findings(tmp_path, {"a": "capabilities: [{mcp: other}]"}, settings=settings)
    assert lines == ["environment:2:3: note: No prompt object may use the tools of the MCP server 'hub'."]


def test_errors_come_first_then_warnings_then_notes(tmp_path: Path) -> None:
    free = "capabilities: [{tool: write, approval: always}, a]"
    objects = {"a": "capabilities: [b]\nlimits: {depth: 9}", "b": free, "c": "luck: 1"}
    found = check(snapshot_of(tmp_path, objects))
    assert [finding.severity for finding in found] == ["error", "warning", "note", "note"]
    assert [finding.kind for finding in found] == ["broken", "authority", "limit", "cycle"]
    assert found[1].path == ("a", "b", "write")


def test_positions_in_front_matter_are_those_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "m.md"
    file.write_text("---\nname: m\nlimits:\n  depth: 3\n---\nlimits: {depth: 9}\n---\n")
    positions = SourcePositions()
    assert positions.value(file, "limits", "depth") == 3
    assert positions.position(file, "limits", "depth") == (4, 10)
    assert positions.keys(file, "limits") == ["depth"]


def test_an_unreadable_file_counts_as_empty(tmp_path: Path) -> None:
    positions = SourcePositions()
    for name, text in (("a.yaml", "a: ["), ("b.md", "no fence"), ("c.md", "---\nname: c"), ("d.yaml", "[1, 2]")):
        (tmp_path / name).write_text(text)
        assert positions.value(tmp_path / name, "a", "b") is None
        assert positions.keys(tmp_path / name) == []
        assert positions.position(tmp_path / name, "a") == (1, 1)
    assert positions.keys(tmp_path / "none.yaml") == []
