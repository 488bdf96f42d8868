"""Servers of environment.yaml start only in the state that the user trusts."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.errors import ToolError, UsageError
from prompt_objects.mcp.command_files import read_only_paths
from prompt_objects.mcp.trust import is_trusted, review
from prompt_objects.tools.path_guard import PathGuard
from prompt_objects.tools.trust import Trust
from tests.support.mcp_servers import SERVER, accept, using

SERVERS = {"files": ServerConfig(command="python", args=("server.py", "--all"), env={"TOKEN": "${TOKEN}"})}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    env_dir = tmp_path / "home"
    env_dir.mkdir()
    (env_dir / "server.py").write_text("print(1)")
    return env_dir


def changed(**more: object) -> Mapping[str, ServerConfig]:
    given = {"command": "python", "args": ("server.py", "--all"), "env": {"TOKEN": "${TOKEN}"}, **more}
    return {"files": ServerConfig(**given)}  # type: ignore[arg-type]


def test_trust_lasts_until_anything_changes(folder: Path, tmp_path: Path) -> None:
    trust = Trust(tmp_path / "state" / "trusted.json")
    assert not is_trusted(folder, SERVERS, trust)
    accept(review(folder, SERVERS), trust)
    assert is_trusted(folder, SERVERS, trust)
    assert is_trusted(folder, changed(), Trust(tmp_path / "state" / "trusted.json"))
    assert (tmp_path / "state" / "trusted.json").stat().st_mode & 0o777 == 0o600
    for other in (
        changed(command="python3"),
        changed(args=("server.py",)),
        changed(env={"TOKEN": "${OTHER}"}),
        changed(trust_hints=True),
        {"other": SERVERS["files"]},
        {**SERVERS, "more": ServerConfig(url="https://example.org/mcp")},
    ):
        assert not is_trusted(folder, other, trust)
    (folder / "server.py").write_text("print(2)")
    assert not is_trusted(folder, SERVERS, trust)


def test_a_missing_file_is_not_trusted(folder: Path, tmp_path: Path) -> None:
    trust = Trust(tmp_path / "trusted.json")
    accept(review(folder, SERVERS), trust)
    (folder / "server.py").unlink()
    assert not is_trusted(folder, SERVERS, trust)


def test_trust_is_for_one_folder_even_if_the_file_is_shared_by_a_link(folder: Path, tmp_path: Path) -> None:
    trust = Trust(tmp_path / "trusted.json")
    other = tmp_path / "other"
    other.mkdir()
    (other / "server.py").write_text("print(1)")
    (folder / "environment.yaml").write_text("")
    (other / "environment.yaml").symlink_to(folder / "environment.yaml")
    accept(review(folder, SERVERS), trust)
    assert not is_trusted(other, SERVERS, trust)


def test_the_review_lists_commands_and_variables(folder: Path) -> None:
    servers = {
        **SERVERS,
        "api": ServerConfig(url="https://example.org/mcp", headers={"X-Key": "a"}, trust_hints=True),
    }
    assert list(review(folder, servers).lines) == [
        "api: https://example.org/mcp (receives X-Key: a); its hints about its tools are trusted",
        "files: python server.py --all (receives TOKEN=${TOKEN})",
        f"  {folder / 'server.py'}",
    ]


async def test_an_untrusted_server_does_not_start_and_a_notice_names_the_command(tmp_path: Path) -> None:
    config = ServerConfig(command="touch", args=("started",))
    async with using(tmp_path, {"example": config}, trusted=False) as turn:
        assert await turn.tools() == {}
        (notice,) = turn.notices()
    assert "prompt-objects trust" in notice
    assert "example" in notice
    assert not (tmp_path / "started").exists()


async def test_a_server_with_a_changed_file_is_not_restarted(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    shutil.copy(SERVER, script)
    config = ServerConfig(command=sys.executable, args=("server.py",))
    async with using(tmp_path, {"example": config}) as turn:
        tools = await turn.tools()
        script.write_text(f"open({str(tmp_path / 'started')!r}, 'w')")
        with pytest.raises(ToolError, match="was lost before it responded"):
            await tools["example_crash"].run({}, turn.context)
        with pytest.raises(ToolError, match="has not trusted it in its present state"):
            await tools["example_add"].run({"a": 1, "b": 1}, turn.context)
    assert not (tmp_path / "started").exists()


# Other files that may run

GAPS = {
    "a link that is turned": (("./servers/link",), "servers/link"),
    "a module by its name": (("python3", "-m", "servers.x"), "servers/x.py"),
    "a module by its name, in a shell": (("sh", "-c", "exec python3 -m servers.x"), "servers/x.py"),
    "a command of a shell": (("sh", "-c", "exec ./servers/x.py"), "servers/x.py"),
    "an option's value": (("node", "--import=./servers/x.js"), "servers/x.js"),
    "an option with its value": (("node", "-r./servers/x.js"), "servers/x.js"),
    "a folder": (("python3", "servers"), "servers/deep/x.py"),
    "a new module beside": (("python3", "servers/x.py"), "servers/json.py"),
    "a new module beside one on top": (("python3", "server.py"), "json.py"),
    "a new module where -m looks": (("python3", "-m", "elsewhere"), "json.py"),
    "a package where -m looks": (("python3", "-m", "elsewhere"), "json/__init__.py"),
    "a path through a variable": (("${PWD}/servers/x.py",), "servers/x.py"),
    "the folder as a program": (("python3", "."), "__main__.py"),
    "what steers programs": (("npm", "start"), "package.json"),
}


def filled(folder: Path) -> None:
    (folder / "servers" / "deep").mkdir(parents=True)
    for name in ("servers/x.py", "servers/x.js", "servers/deep/x.py", "good", "evil"):
        (folder / name).write_text("good")
    (folder / "servers" / "link").symlink_to("../good")


@pytest.mark.parametrize(("command", "file"), GAPS.values(), ids=GAPS)
def test_trust_ends_when_a_file_that_the_program_may_run_changes(
    folder: Path, tmp_path: Path, command: tuple[str, ...], file: str
) -> None:
    filled(folder)
    trust, servers = Trust(tmp_path / "t.json"), {"s": ServerConfig(command=command[0], args=command[1:])}
    accept(review(folder, servers), trust)
    assert is_trusted(folder, servers, trust)
    if (folder / file).is_symlink():
        (folder / file).unlink()
        (folder / file).symlink_to("../evil")
    else:
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text("evil")
    assert not is_trusted(folder, servers, trust)


@pytest.mark.parametrize("value", ["--require ./servers/x.js", "./servers", "/elsewhere:./servers"])
def test_files_named_by_variables_are_included(folder: Path, tmp_path: Path, value: str) -> None:
    filled(folder)
    trust, servers = Trust(tmp_path / "t.json"), {"s": ServerConfig(command="node", env={"OPTIONS": value})}
    accept(review(folder, servers), trust)
    (folder / "servers" / "x.js").write_text("evil")
    assert not is_trusted(folder, servers, trust)


def test_other_files_and_bytecode_do_not_end_trust(folder: Path, tmp_path: Path) -> None:
    filled(folder)
    trust = Trust(tmp_path / "t.json")
    servers = {
        "files": ServerConfig(command="npx", args=("-y", "@modelcontextprotocol/server-filesystem", ".")),
        "own": ServerConfig(command="python3", args=("servers/x.py",), env={"TOKEN": "${TOKEN}"}),
    }
    accept(review(folder, servers), trust)
    for path in ("notes.md", "report/a.py", "servers/__pycache__/y.pyc", ".cache/z", "objects/new.yaml"):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text("new")
    assert is_trusted(folder, servers, trust)


def test_unusual_arguments_are_accepted(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")
    (folder / "endless").symlink_to("/dev/zero")
    (folder / "servers").mkdir()
    (folder / "servers" / "up").symlink_to("..")
    (folder / "servers" / os.fsdecode(b"\xff")).write_text("odd")
    words = ("\0", "x" * 5_000, "pipe", "loop", "endless", "\x1b[31m", "", "/", "..", "~", "servers")
    trust, servers = Trust(tmp_path / "t.json"), {"s": ServerConfig(command="x", args=words)}
    accept(review(folder, servers), trust)
    assert is_trusted(folder, servers, trust)


def test_too_many_files_cannot_be_trusted(folder: Path, tmp_path: Path) -> None:
    filled(folder)
    with (folder / "servers" / "model.bin").open("wb") as file:
        file.truncate(100_000_001)
    servers = {"s": ServerConfig(command="./servers/x.py")}
    assert not is_trusted(folder, servers, Trust(tmp_path / "t.json"))
    with pytest.raises(UsageError, match="more than 5,000 files or 100 MB"):
        accept(review(folder, servers), Trust(tmp_path / "t.json"))


def test_too_deep_folders_cannot_be_trusted(folder: Path, tmp_path: Path) -> None:
    filled(folder)
    (folder / "servers" / ("a/" * 150)).mkdir(parents=True)
    servers = {"s": ServerConfig(command="./servers/x.py")}
    assert not is_trusted(folder, servers, Trust(tmp_path / "t.json"))
    with pytest.raises(UsageError, match="more than 100 levels deep"):
        accept(review(folder, servers), Trust(tmp_path / "t.json"))


# Programs that read their configuration from the folder


@pytest.fixture
def launched(folder: Path) -> Mapping[str, ServerConfig]:
    (folder / "Makefile").write_text("serve: ; python3 server.py")
    (folder / "objects").mkdir()
    return {"s": ServerConfig(command="make", args=("-s", "serve"))}


@pytest.mark.parametrize("file", ["Makefile", "src/new.txt"])
def test_if_a_program_may_run_anything_in_the_folder_all_files_are_included(
    folder: Path, tmp_path: Path, launched: Mapping[str, ServerConfig], file: str
) -> None:
    trust = Trust(tmp_path / "t.json")
    accept(review(folder, launched), trust)
    with pytest.raises(ToolError, match="part of a program that an MCP server runs"):
        PathGuard(folder, read_only=read_only_paths(folder, launched)).write(file, b"evil")
    assert is_trusted(folder, launched, trust)
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text("evil")
    assert not is_trusted(folder, launched, trust)


def test_configuration_files_may_change_even_then(
    folder: Path, tmp_path: Path, launched: Mapping[str, ServerConfig]
) -> None:
    trust = Trust(tmp_path / "t.json")
    accept(review(folder, launched), trust)
    for file in ("environment.yaml", "objects/helper.yaml", ".prompt_objects"):
        (folder / file).write_text("new")
    assert is_trusted(folder, launched, trust)


def test_the_review_says_that_anything_in_the_folder_may_run(
    folder: Path, launched: Mapping[str, ServerConfig]
) -> None:
    assert list(review(folder, launched).lines) == [
        "s: make -s serve",
        f"  {folder}/, all of it, because any file in it may run",
        "  2 files in total, including those in the same folders",
    ]


def test_exactly_the_reviewed_state_is_trusted(folder: Path, tmp_path: Path) -> None:
    trust = Trust(tmp_path / "t.json")
    reviewed = review(folder, SERVERS)
    (folder / "server.py").write_text("evil")
    accept(reviewed, trust)
    assert not is_trusted(folder, SERVERS, trust)


def test_tools_cannot_write_programs_of_servers(folder: Path) -> None:
    filled(folder)
    servers = {"a": ServerConfig(command="python3", args=("-m", "servers.x")), **SERVERS}
    within = PathGuard(folder, read_only=read_only_paths(folder, servers))
    for path in ("servers/x.py", "servers/json.py", "servers/deep/new.py", "server.py"):
        with pytest.raises(ToolError, match="part of a program that an MCP server runs"):
            within.write(path, b"evil")
    within.write("notes.md", b"fine")
    assert not (folder / "servers" / "json.py").exists()
