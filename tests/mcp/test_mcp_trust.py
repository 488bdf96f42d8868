"""Programs that environment.yaml names run only as the person trusted them."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from using import SERVER, using

from prompt_objects.config_file import ServerConfig
from prompt_objects.errors import ToolError
from prompt_objects.mcp.trust import described, is_trusted, trust_servers
from prompt_objects.trust import Trust

SERVERS = {"files": ServerConfig(command="python", args=("server.py", "--all"), env={"TOKEN": "${TOKEN}"})}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    house = tmp_path / "house"
    house.mkdir()
    (house / "server.py").write_text("print(1)")
    return house


def changed(**more: object) -> Mapping[str, ServerConfig]:
    given = {"command": "python", "args": ("server.py", "--all"), "env": {"TOKEN": "${TOKEN}"}, **more}
    return {"files": ServerConfig(**given)}  # type: ignore[arg-type]


def test_what_is_trusted_stays_so_until_anything_of_it_changes(folder: Path, tmp_path: Path) -> None:
    trust = Trust(tmp_path / "state" / "trusted.json")
    assert not is_trusted(folder, SERVERS, trust)
    trust_servers(folder, SERVERS, trust)
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


def test_a_file_that_is_gone_is_not_trusted(folder: Path, tmp_path: Path) -> None:
    trust = Trust(tmp_path / "trusted.json")
    trust_servers(folder, SERVERS, trust)
    (folder / "server.py").unlink()
    assert not is_trusted(folder, SERVERS, trust)


def test_it_holds_for_one_folder_also_where_the_file_is_shared_by_a_link(folder: Path, tmp_path: Path) -> None:
    trust = Trust(tmp_path / "trusted.json")
    other = tmp_path / "other"
    other.mkdir()
    (other / "server.py").write_text("print(1)")
    (folder / "environment.yaml").write_text("")
    (other / "environment.yaml").symlink_to(folder / "environment.yaml")
    trust_servers(folder, SERVERS, trust)
    assert not is_trusted(other, SERVERS, trust)


def test_the_person_reads_what_would_run_and_what_it_is_given(folder: Path) -> None:
    servers = {
        **SERVERS,
        "api": ServerConfig(url="https://example.org/mcp", headers={"X-Key": "a"}, trust_hints=True),
    }
    assert list(described(folder, servers)) == [
        "api: https://example.org/mcp (is given X-Key); what it says of its tools is believed",
        "files: python server.py --all (is given TOKEN)",
        f"  {folder / 'server.py'}",
    ]


async def test_nothing_is_started_without_trust_and_the_person_told_how_to_give_it(tmp_path: Path) -> None:
    config = ServerConfig(command="touch", args=("started",))
    async with using(tmp_path, {"example": config}, trusted=False) as turn:
        assert await turn.tools() == {}
        (notice,) = turn.notices()
    assert "prompt-objects trust" in notice
    assert "example" in notice
    assert not (tmp_path / "started").exists()


async def test_a_server_whose_file_was_changed_meanwhile_is_not_started_again(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    shutil.copy(SERVER, script)
    config = ServerConfig(command=sys.executable, args=("server.py",))
    async with using(tmp_path, {"example": config}) as turn:
        tools = await turn.tools()
        script.write_text(f"open({str(tmp_path / 'started')!r}, 'w')")
        with pytest.raises(ToolError, match="broke off"):
            await tools["example_crash"].run({}, turn.context)
        with pytest.raises(ToolError, match="has not trusted it as it is now"):
            await tools["example_add"].run({"a": 1, "b": 1}, turn.context)
    assert not (tmp_path / "started").exists()
