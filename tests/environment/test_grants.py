"""What an environment brings beyond the defaults is found in its settings and definitions, however it is written."""

from pathlib import Path
from typing import Any

import pytest

from prompt_objects.config.definition import parse_definition
from prompt_objects.config.environment_schema import ConfigSchema
from prompt_objects.config.yaml.document import parse
from prompt_objects.environment.grants import definition_grants, may_have_grants, restrict
from prompt_objects.environment.locate import has_settings
from prompt_objects.environment.settings_grants import config_grants, remove_grants
from prompt_objects.errors import ConfigError


def settings(folder: Path, text: str) -> Any:
    return parse(text, folder / "environment.yaml", ConfigError).data


GRANTS = {
    "models: {local: {model: m, base_url: 'http://x/v1', api_key_env: K}}": (
        "models.local: messages go to http://x/v1, with the variable K"
    ),
    "models: {m: {model: m, api_key_env: K}}": (
        "models.m: messages go to the server of your own settings, with the variable K"
    ),
    "models: {m: {provider: groq}}": "models.m: messages go to the provider groq",
    "models: {m: {provider: groq, api_key_env: K}}": (
        "models.m: messages go to the provider groq, with the variable K"
    ),
    "models: {m: {model: '${K}'}}": "models.m: messages go to the server of your own settings, with the variable K",
    "models: {m: {model: '${A}', base_url: 'http://x/${B}', api_key_env: K}}": (
        "models.m: messages go to http://x/${B}, with the variables K, A, B"
    ),
    "approval: {write: '${A}'}": "approval.write: uses ${A}",
    "prune: {trash_days: '${A}'}": "prune.trash_days: uses ${A}",
    "mcp_servers: {a: {command: npm, args: [start], env: {T: '${K}'}}}": (
        "mcp_servers.a: runs npm start; it receives T=${K}"
    ),
    "mcp_servers: {a: {url: 'http://x', headers: {A: b}, trust_hints: true}}": (
        "mcp_servers.a: contacts http://x; it receives A=b; "
        "tools that it declares as read-only run without asking you"
    ),
    "store: 'postgresql://u:secret@h/d'": "store: sessions are kept in postgresql://u:***@h/d",
    "store: 'files:../elsewhere'": "store: sessions are kept in files:../elsewhere",
    "store: 'files:link/x'": "store: sessions are kept in files:link/x",
    "store: 'files:~/x'": "store: sessions are kept in files:~/x",
    "store: 'sqlite:///${HOME}/x.db'": "store: sessions are kept in sqlite:///${HOME}/x.db",
    "data_dir: /elsewhere": "data_dir: sessions and other data are kept in /elsewhere",
    "data_dir: link": "data_dir: sessions and other data are kept in link",
    "approval: {write: always, read: always}": "approval: tools with the effect write run without asking you",
    "http_allow: [10.0.0.1]": "http_allow: http_get may reach 10.0.0.1",
    "prune: {at_start: true}": "prune: old data is deleted whenever a chat starts",
    "user: '${USER}'": "user: uses ${USER}",
    "model: 'x${A}${B}'": "model: uses ${A}, ${B}",
}


@pytest.mark.parametrize(("text", "grant"), GRANTS.items(), ids=GRANTS)
def test_a_setting_that_reaches_further_is_a_grant_and_is_left_out_without_it(
    tmp_path: Path, text: str, grant: str
) -> None:
    (tmp_path / "link").symlink_to("/tmp")
    data = settings(tmp_path, text)
    assert [each.text for each in config_grants(data, tmp_path)] == [grant]
    remove_grants(data, tmp_path)
    if not text.startswith("mcp_servers"):  # they stay known, and do not start
        assert list(config_grants(data, tmp_path)) == []


@pytest.mark.parametrize(
    "text",
    [
        "store: 'files:data'\ndata_dir: .state\nuser: ann\nmodel: gpt\nlimits: {requests: 3}",
        "store: 'sqlite:///sessions.db'\napproval: {read: always, write: never}\nprune: {trash_days: 3}",
        "store: 'memory:'\nmodels: {fast: {model: gpt}}\nhttp_allow: []",
        "name: sci\nchannels: ['${CHANNEL}']",
    ],
)
def test_settings_that_stay_inside_need_no_trust(tmp_path: Path, text: str) -> None:
    assert list(config_grants(settings(tmp_path, text), tmp_path)) == []


def test_stricter_settings_stay_without_trust(tmp_path: Path) -> None:
    data = settings(tmp_path, "approval: {write: never, network: always}\nlimits: {requests: 3}")
    remove_grants(data, tmp_path)
    assert data == {"approval": {"write": "never"}, "limits": {"requests": 3}}


def test_its_choice_of_models_is_left_out_without_trust(tmp_path: Path) -> None:
    data = settings(tmp_path, "model: large\nmodels: {default: {model: m}, b: {model: '${K}'}}")
    remove_grants(data, tmp_path)
    assert data == {}


@pytest.mark.parametrize(
    "text", ["approval: {write: always, execute: '${A}'}", "prune: {at_start: 1, log_days: '${A}'}"]
)
def test_a_variable_beside_another_grant_is_left_out_too(tmp_path: Path, text: str) -> None:
    data = settings(tmp_path, text)
    assert len(list(config_grants(data, tmp_path))) == 2
    remove_grants(data, tmp_path)
    assert not any(data.values())


def test_any_change_of_a_setting_changes_its_digest(tmp_path: Path) -> None:
    texts = (f"models: {{m: {{model: {name}, base_url: 'http://x'}}}}" for name in ("a", "b"))
    first, second = (list(config_grants(settings(tmp_path, text), tmp_path)) for text in texts)
    assert first[0].text == second[0].text
    assert first[0].digest != second[0].digest


DEFINITION = "name: a\nprompt: x\ncapabilities:\n  - {tool: write_file, %s}\n  - read_file\n"


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("approval: always", "objects/a.yaml: write_file runs without asking you"),
        (
            "allow: {path: ['notes/*', x]}",
            "objects/a.yaml: write_file runs without asking you, if path matches notes/* or x",
        ),
        (r'"\u0061llow": {path: "*"}', "objects/a.yaml: write_file runs without asking you, if path matches *"),
    ],
)
def test_a_capability_that_runs_without_asking_is_a_grant(tmp_path: Path, rule: str, text: str) -> None:
    source = DEFINITION % rule
    definition = parse_definition(source, tmp_path / "objects" / "a.yaml")
    assert may_have_grants(source)
    assert [grant.text for grant in definition_grants(definition)] == [text]
    restricted = restrict(definition, None)
    assert list(definition_grants(restricted)) == []
    assert [each.name for each in restricted.capabilities] == ["write_file", "read_file"]


def test_a_tool_and_a_server_of_one_name_have_different_grants(tmp_path: Path) -> None:
    rules = "[{tool: search, approval: always}, {mcp: search, approval: always}]"
    definition = parse_definition(f"name: a\nprompt: x\ncapabilities: {rules}\n", tmp_path / "objects" / "a.yaml")
    assert [grant.text for grant in definition_grants(definition)] == [
        "objects/a.yaml: search runs without asking you",
        "objects/a.yaml: the tools of the MCP server search run without asking you",
    ]


@pytest.mark.parametrize("rule", ["approval: ask", "approval: never"])
def test_a_stricter_capability_is_no_grant(tmp_path: Path, rule: str) -> None:
    definition = parse_definition(DEFINITION % rule, tmp_path / "objects" / "a.yaml")
    assert list(definition_grants(definition)) == []
    assert restrict(definition, None) == definition


def test_models_that_are_left_out_are_replaced_by_the_users_own(tmp_path: Path) -> None:
    text = "name: a\nprompt: x\nmodel: {use: theirs, fallback: [theirs, mine]}\n"
    model = restrict(parse_definition(text, tmp_path / "a.yaml"), {"mine"}).model
    assert model is not None
    assert (model.use, model.fallback) == (None, ("mine",))


@pytest.mark.parametrize("key", ConfigSchema.__struct_fields__)
def test_every_setting_marks_an_environment(tmp_path: Path, key: str) -> None:
    for text in (f"# x\n{key}: 1\n", f'{{\n "x": 2, "{key}" : 1}}', f"\ufeff{key}: 1\n"):
        (tmp_path / "environment.yaml").write_text(text, encoding="utf-8")
        assert has_settings(tmp_path / "environment.yaml")
    (tmp_path / "environment.yaml").write_text(f"other:\n  {key}: 1\nx_{key}: 2\n")
    assert not has_settings(tmp_path / "environment.yaml")
