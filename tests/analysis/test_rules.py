"""What a check finds, where, and how grave it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.analysis.check import check
from prompt_objects.analysis.rules.privileges import gained_privileges
from prompt_objects.analysis.snapshot import EnvironmentSnapshot, SourcePositions
from prompt_objects.config.limits import LimitsConfig
from tests.support.teams import look_at


def told(folder: Path, objects: Mapping[str, str], **surroundings: Any) -> list[str]:
    """Return what is found, as `a:3:16: note: …`."""
    found = map(str, check(look_at(folder, objects, **surroundings)))
    return [line.removeprefix(f"{folder}/").replace(".yaml:", ":", 1) for line in found]


def test_a_team_in_order_gives_nothing_to_say(tmp_path: Path) -> None:
    assert told(tmp_path, {"a": "capabilities: [b, look]", "b": "capabilities: [look]"}) == []
    assert told(tmp_path, {}) == []


def test_all_that_is_missing_is_told_at_its_place(tmp_path: Path) -> None:
    lines = told(tmp_path, {"a": "capabilities:\n  - b\n  - loook\n  - {po: c}\n  - {mcp: hub}", "b": ""})
    assert lines == [
        "a:5:5: error: Capability 'loook': there is no such tool or prompt object. Did you mean 'look'?",
        "a:6:10: error: Capability 'c': there is no such prompt object.",
        "a:7:11: error: Capability 'hub': there is no such MCP server.",
    ]


def test_a_default_object_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    (line,) = told(tmp_path, {"anna": ""}, settings="default_object: ana\n", default_object="ana")
    assert line == "environment:1:17: error: There is no prompt object 'ana' to begin with. Did you mean 'anna'?"


def test_a_broken_definition_is_an_error_and_the_others_are_looked_at_all_the_same(tmp_path: Path) -> None:
    lines = told(tmp_path, {"a": "capabilities: [b, loook]", "b": "capabilitys: []"})
    assert lines == [
        "a:3:19: error: Capability 'loook': there is no such tool or prompt object. Did you mean 'look'?",
        "b:3:1: error: Unknown key 'capabilitys'. Did you mean 'capabilities'?",
    ]


def test_a_circle_is_a_note_at_the_capability_that_closes_it(tmp_path: Path) -> None:
    lines = told(tmp_path, {"a": "capabilities: [b]", "b": "capabilities: [look, c]", "c": "capabilities: [a]"})
    refused = "the call that closes it is refused, and the caller continues."
    assert lines == [f"c:3:16: note: a → b → c → a is a cycle: {refused}"]


def test_who_is_never_reached_from_the_root_is_a_note(tmp_path: Path) -> None:
    objects = {"a": "capabilities: [b]", "b": "", "c": "capabilities: [a]"}
    (line,) = told(tmp_path, objects)
    assert line == "c:1:7: note: a reaches c neither itself nor through others; only the user can chat with it."
    assert told(tmp_path, objects, default_object="c") == []


def test_who_is_too_deep_for_the_limits_is_told_with_the_way(tmp_path: Path) -> None:
    objects = {"a": "capabilities: [b]", "b": "capabilities: [c]", "c": ""}
    (line,) = told(tmp_path, objects, bounds=LimitsConfig(depth=1))
    assert line == "c:1:7: note: a cannot reach c: limits of depth end a → b → c first."


def test_authority_that_is_reached_only_through_others_is_told_with_the_shortest_way(tmp_path: Path) -> None:
    objects = {
        "a": "capabilities: [b, c, send]",
        "b": "capabilities: [c, look]",
        "c": "capabilities: [{tool: write, approval: always}, send]",
    }
    unasked = "only through others, without approval"
    assert told(tmp_path, objects) == [
        f"a:3:19: warning: a reaches write, which changes files, {unasked}: a → c → write.",
        f"b:3:16: warning: b reaches write, which changes files, {unasked}: b → c → write.",
        "b:3:16: note: b reaches send, which sends over the network, only through others: b → c → send.",
    ]


@pytest.mark.parametrize("word", ["", ", approval: always"])
def test_what_is_asked_about_each_time_is_a_note_whatever_is_said_of_it(tmp_path: Path, word: str) -> None:
    team = {"a": "capabilities: [b]", "b": f"capabilities: [{{tool: propose{word}}}]"}
    reached = "a reaches propose, which changes files, only through others: a → b → propose."
    assert told(tmp_path, team, default_object="a") == [f"a:3:16: note: {reached}"]


def test_what_is_never_approved_or_too_deep_is_no_authority(tmp_path: Path) -> None:
    objects = {"a": "capabilities: [b]", "b": "capabilities: [{tool: start, approval: never}]"}
    assert told(tmp_path, objects) == []
    deep = {"a": "capabilities: [b]\nlimits: {depth: 1}", "b": "capabilities: [c]", "c": "capabilities: [start]"}
    assert [line for line in told(tmp_path, deep, default_object="a") if line.startswith("a:")] == []


def borrowed(how: str) -> str:
    """Begin the finding that a can write through others; it is a note where a person is asked each time."""
    severity = "warning" if how else "note"
    return f"{severity}: a reaches write, which changes files, only through others{how}"


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
def test_authority_is_told_as_it_is_when_all_on_the_path_have_their_say(
    tmp_path: Path, own: str | None, theirs: str, settings: str, how: str | None
) -> None:
    mine = "" if own is None else f", {{tool: write, {own}}}"
    objects = {"a": f"capabilities: [b{mine}]", "b": f"capabilities: [{{tool: write, {theirs}}}]"}
    expected = [] if how is None else [f"a:3:16: {borrowed(how)}: a → b → write."]
    assert told(tmp_path, objects, settings=settings) == expected


@pytest.mark.parametrize(
    ("between", "how"), [("approval: never", None), ("approval: ask", ""), ("approval: always", ", without approval")]
)
def test_who_is_on_the_way_has_a_say_and_a_longer_way_round_is_found(
    tmp_path: Path, between: str, how: str | None
) -> None:
    objects = {
        "a": "capabilities: [b]",
        "b": f"capabilities: [c, {{tool: write, {between}}}]",
        "c": "capabilities: [{tool: write, approval: always}]",
    }
    expected = [] if how is None else [f"a:3:16: {borrowed(how)}: a → b → write."]
    assert told(tmp_path, objects) == expected
    around = {**objects, "a": "capabilities: [b, d]", "d": "capabilities: [e]", "e": "capabilities: [c]"}
    found = [line for line in told(tmp_path, around) if line.startswith("a:")]
    way = "a:3:16: {}: a → b → write." if between == "approval: always" else "a:3:19: {}: a → d → e → c → write."
    assert found == [way.format(borrowed(", without approval"))]


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
def test_what_is_gained_is_what_could_not_be_done_as_freely_before(
    tmp_path: Path, before: str, after: str, expected: str | None
) -> None:
    def ruled(name: str, rule: str) -> EnvironmentSnapshot:
        (tmp_path / name).mkdir()
        return look_at(tmp_path / name, {"a": f"capabilities: [{{tool: write, {rule}}}]"})

    told_of = list(gained_privileges(ruled("before", before), ruled("after", after), "a"))
    assert told_of == ([expected] if expected else [])


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
    lines = told(tmp_path, objects, settings="mcp_servers: {hub: {command: hub}}\n")
    note = "a:3:16: note: a reaches the tools of the MCP server hub only through others: a → b → hub."
    assert lines == ([] if is_covered else [note])


@pytest.mark.parametrize(("server", "effect"), [("command: hub", "execute"), ("url: 'https://hub/'", "network")])
def test_what_holds_for_a_server_is_what_holds_for_the_most_that_its_tools_may_do(
    tmp_path: Path, server: str, effect: str
) -> None:
    objects = {"a": "capabilities: [b]", "b": "capabilities: [{mcp: hub}]"}
    for each in ("execute", "network"):
        settings = f"mcp_servers: {{hub: {{{server}}}}}\napproval: {{{each}: never}}\n"
        assert (told(tmp_path, objects, settings=settings) == []) is (each == effect)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "limits: {requests: 3}",
            "3:20: note: limits.requests has no effect: a has no capabilities, so one request answers a message.",
        ),
        ("limits: {depth: 3}", "3:17: note: limits.depth has no effect: a has no delegates."),
        ("limits: {tokens: 9}", None),
        (
            "limits: {turns: 3}",
            "3:17: note: limits.requests has no effect: a has no capabilities, so one request answers a message.",
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
def test_limits_without_use_are_told(tmp_path: Path, text: str, expected: str | None) -> None:
    lines = told(tmp_path, {"a": text, "b": ""}, bounds=LimitsConfig(requests=30, cost=2.0))
    assert [line for line in lines if "limits." in line] == ([f"a:{expected}"] if expected else [])


UNCOUNTED = "limits.cost does not count responses of"
UNKNOWN = (
    "prices are not known. Set `prices` under `models` in environment.yaml; "
    "the extra `prices` has those of public models."
)


def test_a_limit_of_cost_that_does_not_count_some_models_is_a_warning_where_it_stands(tmp_path: Path) -> None:
    objects = {
        "a": "capabilities: [b]\nmodel: {use: dear, fallback: [quick]}\nlimits: {cost: 1}",
        "b": "model: {use: free, fallback: [slow, dear]}",
        "c": "capabilities: [a]\nlimits: {requests: 3}",
    }
    assert told(tmp_path, objects, default_object="c") == []
    (line,) = told(tmp_path, objects, default_object="c", unpriced=["quick", "slow", None])
    assert line == f"a:5:16: warning: {UNCOUNTED} 'quick' and 'slow': {UNKNOWN}"
    found = told(
        tmp_path,
        objects,
        settings="limits:\n  cost: 2\n",
        bounds=LimitsConfig(cost=2.0),
        default_object="c",
        unpriced=["free", None],
    )
    assert [line for line in found if "warning" in line] == [
        f"a:5:16: warning: {UNCOUNTED} 'free': {UNKNOWN}",
        f"environment:2:9: warning: {UNCOUNTED} 'free' and the default model: {UNKNOWN}",
    ]


def test_models_are_told_that_nobody_asks_for_and_that_are_not_there(tmp_path: Path) -> None:
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
    assert told(tmp_path, objects, settings=models) == [
        f"a:4:38: warning: 'carefull' {unknown} Did you mean 'careful'?",
        f"b:3:8: note: 'gpt-9' {unknown}",
        f"environment:4:3: note: No prompt object asks for the model 'careful'; {unused}",
    ]
    assert told(tmp_path, objects) == []  # without models of the environment's, every name is a server's


def test_a_server_that_nobody_may_use_is_a_note(tmp_path: Path) -> None:
    settings = "mcp_servers:\n  hub: {command: hub}\n  other: {command: o}\n"
    lines = told(tmp_path, {"a": "capabilities: [{mcp: other}]"}, settings=settings)
    assert lines == ["environment:2:3: note: No prompt object may use the tools of the MCP server 'hub'."]


def test_errors_come_first_then_warnings_then_notes(tmp_path: Path) -> None:
    free = "capabilities: [{tool: write, approval: always}, a]"
    objects = {"a": "capabilities: [b]\nlimits: {depth: 9}", "b": free, "c": "luck: 1"}
    found = check(look_at(tmp_path, objects))
    assert [finding.severity for finding in found] == ["error", "warning", "note", "note"]
    assert [finding.kind for finding in found] == ["broken", "authority", "limit", "cycle"]
    assert found[1].path == ("a", "b", "write")


def test_places_in_markdown_are_those_of_the_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "m.md"
    file.write_text("---\nname: m\nlimits:\n  depth: 3\n---\nlimits: {depth: 9}\n---\n")
    places = SourcePositions()
    assert places.value(file, "limits", "depth") == 3
    assert places.position(file, "limits", "depth") == (4, 10)
    assert places.keys(file, "limits") == ["depth"]


def test_what_cannot_be_read_holds_nothing(tmp_path: Path) -> None:
    places = SourcePositions()
    for name, text in (("a.yaml", "a: ["), ("b.md", "no fence"), ("c.md", "---\nname: c"), ("d.yaml", "[1, 2]")):
        (tmp_path / name).write_text(text)
        assert places.value(tmp_path / name, "a", "b") is None
        assert places.keys(tmp_path / name) == []
        assert places.position(tmp_path / name, "a") == (1, 1)
    assert places.keys(tmp_path / "none.yaml") == []
