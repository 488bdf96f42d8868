import re
from pathlib import Path

import pytest

from prompt_objects.config.environment import Config, load_config
from prompt_objects.config.environment_schema import ConfigSchema, ModelConfig, Prices
from prompt_objects.config.limits import LimitsConfig
from prompt_objects.config.maintenance import BackupSettings, PruneSettings
from prompt_objects.environment.environment import Environment
from prompt_objects.errors import ConfigError, UsageError
from tests.support.paths import DOCS

FULL = """\
default_object: coordinator
data_dir: state/here
model: fast
models:
  fast:
    model: small-1
    base_url: http://localhost:8080/v1
    context_window: 32768
  paid: {model: "big-${SIZE}", api_key_env: BIG_KEY, timeout: 90, prices: {prompt: 1.25, completion: 10}}
limits: {requests: 10, depth: 2}
user: ${USER}
editing_mode: vi
store: postgresql://ann:${SECRET}@db.example.org/notes
pool_size: 8
max_session_size: 50 MB
compress: 64 KiB
backups: {hours: 0.5, keep: 3, days: 7}
prune: {at_start: true, empty_days: 1, trash_days: 2, log_days: 3}
"""


def load(folder: Path, text: str, **environ: str) -> Config:
    (folder / "environment.yaml").write_text(text, encoding="utf-8")
    return load_config(folder, environ)


@pytest.mark.parametrize("text", [None, "", "# nothing yet\n", "models:\nlimits:\nuser:\n"])
def test_an_environment_needs_no_file_and_no_key(tmp_path: Path, text: str) -> None:
    if text is not None:
        (tmp_path / "environment.yaml").write_text(text)
    assert load_config(tmp_path, {}) == Config(data_dir=tmp_path / ".prompt_objects")


def test_every_setting_is_read(tmp_path: Path) -> None:
    assert load(tmp_path, FULL, USER="ada", SIZE="2", SECRET="hunter2") == Config(
        default_object="coordinator",
        data_dir=tmp_path / "state" / "here",
        model="fast",
        models={
            "fast": ModelConfig(model="small-1", base_url="http://localhost:8080/v1", context_window=32768),
            "paid": ModelConfig(
                model="big-2", api_key_env="BIG_KEY", timeout=90, prices=Prices(prompt=1.25, completion=10)
            ),
        },
        limits=LimitsConfig(requests=10, depth=2),
        user="ada",
        editing_mode="vi",
        store="postgresql://ann:hunter2@db.example.org/notes",
        store_options={"pool_size": 8, "max_session_size": 50_000_000, "compress": 65_536},
        backups=BackupSettings(hours=0.5, keep=3, days=7),
        prune=PruneSettings(at_start=True, empty_days=1, trash_days=2, log_days=3),
        notices=(f"{tmp_path}/environment.yaml:8:5: `models.fast.context_window` has no effect in this version.",),
    )


def test_keys_for_later_versions_are_accepted_with_a_notice(tmp_path: Path) -> None:
    text = """\
approval:
logs: {keep: 30, token: "${NOT_SET}"}
limits: {requests: 10, cost: 0.5}
"""
    config = load(tmp_path, text)
    positions = [notice.removeprefix(f"{tmp_path}/environment.yaml:").split(" has ")[0] for notice in config.notices]
    assert positions == ["2:1: `logs`"]
    assert config.data_dir == tmp_path / ".prompt_objects"


def test_the_old_key_of_the_request_limit_is_read_with_a_notice(tmp_path: Path) -> None:
    config = load(tmp_path, "limits: {turns: 3}\n")
    assert config.limits == LimitsConfig(requests=3)
    (notice,) = config.notices
    assert notice.startswith(f"{tmp_path}/environment.yaml:1:10: `limits.turns` is called `limits.requests` now.")
    with pytest.raises(ConfigError, match=r"environment\.yaml:1:25: `limits` has both"):
        load(tmp_path, "limits: {requests: 300, turns: 3}\n")


def test_the_default_model_comes_from_the_variable_the_key_or_the_name_default(tmp_path: Path) -> None:
    models = "models: {default: {model: a}, other: {model: b}}\n"
    assert load(tmp_path, models).model == "default"
    assert load(tmp_path, models + "model: other\n").model == "other"
    assert load(tmp_path, models + "model: other\n", PROMPT_OBJECTS_MODEL="third").model == "third"
    assert load(tmp_path, "models: {other: {model: b}}\n").model is None


def test_the_variable_overrides_the_editing_mode_and_must_be_emacs_or_vi(tmp_path: Path) -> None:
    assert load(tmp_path, "editing_mode: vi\n", PROMPT_OBJECTS_EDITING_MODE="emacs").editing_mode == "emacs"
    with pytest.raises(UsageError, match="PROMPT_OBJECTS_EDITING_MODE is 'vim'") as caught:
        load_config(tmp_path, {"PROMPT_OBJECTS_EDITING_MODE": "vim"})
    assert caught.value.hint == "Did you mean 'vi'?"


def test_a_data_dir_may_be_absolute(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    assert load(tmp_path, "data_dir: ${STATE}/here\n", STATE=str(elsewhere)).data_dir == elsewhere / "here"


@pytest.mark.parametrize(
    ("text", "position", "problem", "hint"),
    [
        ("user: a\ndata_dir: ../out\n", (2, 11), "'../out', which is not below", "absolute"),
        ("data_dir: .\n", (1, 11), "'.', which is not below", "absolute"),
        ("data_dir: ''\n", (1, 11), "must be text that is not empty", ""),
        ("defualt_object: a\n", (1, 1), "Unknown key 'defualt_object'", "Did you mean 'default_object'?"),
        ("user: ann\nxyz: 1\n", (2, 1), "Unknown key 'xyz'", "It may be one of: "),
        ("approval: {raed: ask}\n", (1, 12), "Unknown key 'raed' in `approval`", "Did you mean 'read'?"),
        (
            "mcp_servers: {a: {command: x, env: {K: v, L: 1}}, b: {command: x, env: {K: 1}}}\n",
            *((1, 46), "`mcp_servers.a.env.L` must be text, not the number 1", 'Quote it: "1"'),
        ),
        ("models: {a: {model: x, contxt_window: 3}}\n", (1, 24), "'contxt_window' in `models.a`", "'context_window'"),
        ("models: {a: {model: x}, b: {}}\n", (1, 28), "`models.b` has no `model`", ""),
        ("models:\n  a: {model: x, base_url: 'localhost'}\n", (2, 27), "starts with http:// or https://", ""),
        ("models: {a: {model: x, timeout: 0}}\n", (1, 33), "must be a number above 0", ""),
        ("models: {a: {model: x, prices: {prompt: 1}}}\n", (1, 32), "`models.a.prices` has no `completion`", ""),
        ("models: {a: {model: x, api_key_env: sk-123}}\n", (1, 37), "the name of an environment variable", ""),
        ("models: [a]\n", (1, 9), "`models` must be a mapping of keys to values, not a list", ""),
        ("user: on\n", (1, 7), "not the yes/no value on", 'Quote it: "on"'),
        ("editing_mode: vim\n", (1, 15), "must be one of `emacs`, `vi`, not 'vim'", "Did you mean 'vi'?"),
        ("limits: {depth: -1}\n", (1, 17), "from 0 to 32, not the number -1", ""),
        ("user: a\nmodel: ${NOT_SET}-x\n", (2, 8), "variable NOT_SET is not set", "export NOT_SET="),
        ("models: {a: {model: '${NOT_SET}'}}\n", (1, 21), "variable NOT_SET is not set", "export"),
        ("store: here\n", (1, 8), "`store` must be the URL of a store, such as files:PATH", ""),
        ("max_session_size: 5 apples\n", (1, 19), "a number of bytes, such as 50000000 or 50 MB, not '5 apples'", ""),
        ("max_session_size: 0.1 B\n", (1, 19), "`max_session_size` must be at least 1 byte", ""),
        ("max_session_size: 0\n", (1, 19), "must be a number of bytes", "|"),
        ("max_session_size: -5\n", (1, 19), "such as 50000000 or 50 MB, not the number -5", "|"),
        ("max_session_size: true\n", (1, 19), "such as 50000000 or 50 MB, not the yes/no value true", "|"),
        ("max_session_size: 9223372036854775808\n", (1, 19), "must be at most 1,000,000 GB", ""),
        ("max_session_size: 99999999999 GB\n", (1, 19), "must be at most 1,000,000 GB", ""),
        (f"max_session_size: {'9' * 400} GB\n", (1, 19), "must be a number of bytes", ""),
        ("max_session_size: '٣ MB'\n", (1, 19), "must be a number of bytes", ""),
        ("compress: 0\n", (1, 11), "must be false or a number of bytes, such as 50000000 or 50 MB, not", "|"),
        ("compress: 1000001 GB\n", (1, 11), "must be at most 1,000,000 GB", ""),
        ("compress: true\n", (1, 11), "`compress` must be a number of bytes, or false", "compress: 16 kB"),
        ("compress: []\n", (1, 11), "must be false or a number of bytes", ""),
        ("backups: {hours: -1}\n", (1, 18), "`backups.hours` must be a number from 0 to 876000", ""),
        ("backups: {hours: .inf}\n", (1, 18), "`backups.hours` must be a number from 0 to 876000", ""),
        ("backups: {keep: 1000000000000000000000}\n", (1, 17), "must be a whole number from 1 to 1000000", ""),
        ("backups: {days: 36501}\n", (1, 17), "must be a whole number from 1 to 36500", ""),
        ("prune: {trash_days: 999999999999}\n", (1, 21), "must be a whole number from 1 to 36500", ""),
        ("backups: {day: 3}\n", (1, 11), "'day' in `backups`", "'days'"),
        ("prune: {at_start: 1}\n", (1, 19), "`prune.at_start` must be true or false", ""),
        ("a: [1\n", (1, 4), "The [ at this position is not closed", ""),
    ],
)
def test_an_error_has_the_position_the_text_and_a_similar_valid_word(
    tmp_path: Path, text: str, position: tuple[int, int], problem: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert problem in caught.value.problem
    assert str(caught.value).startswith(f"{tmp_path / 'environment.yaml'}:{position[0]}:{position[1]}: ")
    assert hint in (caught.value.hint or "|")


def test_an_error_never_shows_the_value_of_a_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "models: {a: {model: x, base_url: 'ftp://${TOKEN}@host'}}\n", TOKEN="hunter2")
    assert "hunter2" not in str(caught.value) + caught.value.hint
    assert "${TOKEN}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("2500", 2500),
        ("12B", 12),
        ("3 kB", 3000),
        ("1.5 MB", 1_500_000),
        ("2GB", 2 * 10**9),
        ("1 MiB", 2**20),
    ],
)
def test_a_size_is_a_number_of_bytes_or_has_a_unit(tmp_path: Path, text: str, size: int) -> None:
    assert load(tmp_path, f"compress: {text}\n").store_options == {"compress": size}


def test_a_key_without_a_value_counts_as_omitted_at_any_depth(tmp_path: Path) -> None:
    text = "prune: {at_start: , empty_days: 2}\nbackups: {hours: }\napproval: {write: }\nlimits: {requests: }\n"
    config = load(tmp_path, text)
    assert (config.prune, config.backups, config.approval) == (PruneSettings(empty_days=2), BackupSettings(), {})


@pytest.mark.parametrize("url", ["postgresql+psycopg://a:s3cret@b/c", "POSTGRESQL://a:s3cret@b/c", "//a:s3cret@b/c"])
def test_the_error_for_an_unknown_store_does_not_show_a_password(tmp_path: Path, url: str) -> None:
    assert load(tmp_path, f"store: '{url}'\n").store == url
    with pytest.raises(UsageError, match="does not name a store") as caught:
        Environment.open(tmp_path, environ={})
    assert "s3cret" not in f"{caught.value} {caught.value.hint}"


def test_compression_can_be_disabled(tmp_path: Path) -> None:
    assert load(tmp_path, "compress: false\n").store_options == {"compress": None}


def test_the_value_of_a_variable_is_not_expanded_again(tmp_path: Path) -> None:
    text = "models: {a: &m {model: '${A}'}, b: *m}\n"
    models = load(tmp_path, text, A="${B}", B="no").models
    assert [model.model for model in models.values()] == ["${B}", "${B}"]


def test_a_broken_link_is_an_error_not_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "environment.yaml").symlink_to(tmp_path / "gone.yaml")
    with pytest.raises(ConfigError, match="link is broken"):
        load_config(tmp_path, {})


def test_the_page_about_environments_documents_every_key_and_its_examples_are_valid(tmp_path: Path) -> None:
    page = (DOCS / "environment.md").read_text(encoding="utf-8")
    top, _, rest = page.partition("\n### models\n")
    models = rest.partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", top, re.MULTILINE) == list(ConfigSchema.__struct_fields__)
    assert set(re.findall(r"^\| `(\w+)` \|", models, re.MULTILINE)) == set(ModelConfig.__struct_fields__)
    example, defaults = re.findall(r"```yaml\n(# environment.yaml.*?)```", page, re.DOTALL)
    assert (load(tmp_path, defaults).backups, load(tmp_path, defaults).prune) == (BackupSettings(), PruneSettings())
    config = load(tmp_path, example, USER="ada")
    assert (config.model, config.user, config.notices) == ("local", "ada", ())
