"""The files of an environment that the commands of MCP servers name."""

import os
from pathlib import Path

import pytest

from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.errors import ToolError
from prompt_objects.mcp.command_files import program_paths
from prompt_objects.tools.path_guard import PathGuard


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "servers" / "deep").mkdir(parents=True)
    for name in ("server.py", "servers/x.py", "servers/x.js", "servers/deep/x.py"):
        (tmp_path / name).write_text("good")
    (tmp_path / "servers" / "link").symlink_to("../server.py")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (("./servers/link",), "servers"),
        (("python3", "-m", "servers.x"), "servers"),
        (("sh", "-c", "exec python3 -m servers.x"), "servers"),
        (("sh", "-c", "exec ./servers/x.py"), "servers"),
        (("node", "--import=./servers/x.js"), "servers"),
        (("node", "-r./servers/x.js"), "servers"),
        (("node", "servers/x"), "servers"),
        (("node", "-e", "require('./servers/x')"), "servers"),
        (("python3", "-c", "import server"), "server.py"),
        (("env", "A=1", "bash", "-c", "cd servers && python3 x.py"), "servers"),
        (("uv", "run", "--directory", "servers", "x.py"), "servers"),
        (("make", "-Cservers"), "servers"),
        (("npx", "./servers"), "servers"),
        (("node", "--config=servers/x.js"), "servers"),
        (("python3", "servers"), "servers"),
        (("${PWD}/servers/x.py",), "servers"),
        (("python3", "server.py"), "server.py"),
        (("python3", "servers/deep/x.py"), "servers/deep"),
    ],
)
def test_a_named_file_is_found_with_the_files_beside_it(folder: Path, command: tuple[str, ...], path: str) -> None:
    assert program_paths(folder, {"s": ServerConfig(command=command[0], args=command[1:])}) == (folder / path,)


@pytest.mark.parametrize("value", ["--require ./servers/x.js", "./servers", "/elsewhere:./servers"])
def test_files_named_by_variables_are_found(folder: Path, value: str) -> None:
    assert program_paths(folder, {"s": ServerConfig(command="node", env={"X": value})}) == (folder / "servers",)


def test_unusual_arguments_are_accepted(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")
    words = ("\0", "x" * 5_000, "pipe", "loop", "\x1b[31m", "", "/", "..", "~", ".")
    names = {path.name for path in program_paths(folder, {"s": ServerConfig(command="x", args=words)})}
    assert names == {"pipe", "loop"}


def test_tools_cannot_write_programs_of_servers(folder: Path) -> None:
    servers = {
        "a": ServerConfig(command="python3", args=("-m", "servers.x")),
        "b": ServerConfig(command="python3", args=("server.py",)),
    }
    guard = PathGuard(folder, read_only=program_paths(folder, servers))
    for path in ("servers/x.py", "servers/json.py", "servers/deep/new.py", "server.py"):
        with pytest.raises(ToolError, match="part of a program that an MCP server runs"):
            guard.write(path, b"evil")
    guard.write("notes.md", b"fine")
    assert not (folder / "servers" / "json.py").exists()
