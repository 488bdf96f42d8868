"""File tools cannot reach sessions or programs of servers, even within the folder."""

from pathlib import Path
from typing import Any

import pytest

from prompt_objects.environment.environment import Environment
from prompt_objects.testing import ScriptedLLM, calls
from tests.support.environments import make_env

SCRIBE = "name: scribe\ncapabilities: [{names}]\nprompt: Read.\n"
TOOLS = "read_file, list_files, search_files, {tool: write_file, approval: always}"
SHELF = """
from prompt_objects.sessions.stores.file.store import FileStore
from prompt_objects.sessions.stores.url import StoreUrl

class ShelfUrl(StoreUrl):
    form = "shelf:PATH"

    def open(self, options):
        return FileStore(self.path, options)
"""


@pytest.fixture
def env_dir(tmp_path: Path) -> Path:
    make_env(tmp_path, {"scribe": SCRIBE.replace("{names}", TOOLS)})
    return tmp_path


@pytest.fixture(autouse=True)
def package(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package with a kind of store that has files on this machine."""
    folder = tmp_path_factory.mktemp("site")
    info = folder / "shelf_store-1.0.dist-info"
    info.mkdir()
    (folder / "shelf_store.py").write_text(SHELF)
    (info / "METADATA").write_text("Name: shelf-store\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[prompt_objects.stores]\nshelf = shelf_store:ShelfUrl\n")
    monkeypatch.syspath_prepend(str(folder))


async def results_of(env_dir: Path, *given: tuple[str, dict[str, Any]], store: str | None = None) -> list[str]:
    """Return the results of tool calls."""
    async with Environment.open(env_dir, llm=ScriptedLLM([calls(*given), "Done."]), store=store, environ={}) as env:
        reply = await env["scribe"].receive("Go", None, env["scribe"].session_manager.create("other"))
        return [str(message["content"]) for message in reply.session.history if message["role"] == "tool"]


async def remembered(env_dir: Path) -> str:
    """Create a conversation with a secret; return the ID of its session."""
    async with Environment.open(env_dir, llm=ScriptedLLM(["I see."]), environ={}) as env:
        session = env["scribe"].session_manager.create("secret")
        await env["scribe"].receive("It is hunter2", None, session)
        return session.id


@pytest.mark.parametrize(
    ("store", "folder"),
    [("files:chats", "chats/sessions"), ("files:.", "sessions"), ("shelf:chats", "chats/sessions")],
)
async def test_session_files_cannot_be_read_searched_listed_or_written(
    env_dir: Path, store: str, folder: str
) -> None:
    (env_dir / "environment.yaml").write_text(f"store: '{store}'\n")
    session_id = await remembered(env_dir)
    file = f"{folder}/{session_id}.json"
    before = (env_dir / file).read_bytes()
    for other in (None, "memory:"):  # also while another store replaces it
        read, listed, found, written, state = await results_of(
            env_dir,
            ("read_file", {"path": file}),
            ("list_files", {"recursive": True}),
            ("search_files", {"pattern": "is hunter2"}),
            ("write_file", {"path": file, "content": "{}"}),
            ("write_file", {"path": f"{folder}/index.json", "content": "{}"}),
            store=other,
        )
        assert "state, which cannot be read" in read
        assert "objects/" in listed
        assert session_id not in listed
        assert found.startswith("No matches")
        assert "state, which cannot be read" in written
        assert "state, which cannot be read" in state
    assert (env_dir / file).read_bytes() == before


async def test_a_database_and_its_sqlite_files_are_out_of_reach(env_dir: Path) -> None:
    pytest.importorskip("sqlalchemy")
    (env_dir / "environment.yaml").write_text("store: sqlite:///chats.db\n")
    await remembered(env_dir)
    (env_dir / "chats.db-wal").write_text("is hunter2")
    (env_dir / "chats.db.md").write_text("a person's own")
    answers = await results_of(
        env_dir,
        *(("write_file", {"path": f"chats.db{end}", "content": "x"}) for end in ("", "-wal", "-shm", "-journal")),
        ("search_files", {"pattern": "is hunter2"}),
        ("read_file", {"path": "chats.db.md"}),
        store="memory:",
    )
    assert all("state, which cannot be read" in answer for answer in answers[:4])
    assert answers[4].startswith("No matches")
    assert answers[5] == "a person's own"


async def test_a_prompt_object_cannot_change_programs_of_servers(env_dir: Path) -> None:
    (env_dir / "servers").mkdir()
    (env_dir / "servers" / "x.py").write_text("good")
    (env_dir / "environment.yaml").write_text("mcp_servers: {s: {command: python3, args: [servers/x.py]}}\n")
    answers = await results_of(
        env_dir, *(("write_file", {"path": f"servers/{name}", "content": "evil"}) for name in ("x.py", "json.py"))
    )
    assert all("part of a program that an MCP server runs" in answer for answer in answers)
    assert [path.name for path in (env_dir / "servers").iterdir()] == ["x.py"]
    assert (env_dir / "servers" / "x.py").read_text() == "good"
