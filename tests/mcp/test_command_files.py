"""Which commands may run files of the folder in which they start."""

from pathlib import Path

import pytest

from prompt_objects.mcp.command_files import may_run_folder

ROOT = Path("/srv/notes")

EVERYTHING = [
    ("make", "-s", "serve"),
    ("/usr/bin/make", "serve"),
    ("uv", "run", "my-server"),
    ("npm.cmd", "run", "serve"),
    ("cargo", "run"),
    ("go", "run", "."),
    ("deno", "task", "serve"),
    ("env", "-S", "make serve"),
    ("nice", "-n", "5", "gradle", "run"),
    ("make", "-C", "/srv", "serve"),
    ("uv", "--directory=/srv/notes/servers", "run", "x"),
    ("docker", "compose", "run", "x"),
    ("docker", "run", "-v", "/srv/notes:/app", "node", "/app/x.js"),
    ("sh", "-c", "exec make serve"),
    ("sh", "-c", 'exec "$PWD/servers/x"'),
    ("sh", "-c", "exec ./serv*/x"),
    ("sh", "-c", "exec `pwd`/servers/x"),
    ("/bin/bash", "-lc", "cd servers; ./x"),
    ("bash", "-c", "cd servers\n./x"),
    ("sh", "-c", "${LINE}"),
]

NAMED_ONLY = [
    ("npx", "-y", "@modelcontextprotocol/server-filesystem", "."),
    ("npx", "-y", "@example/make"),
    ("uvx", "--from", "git+https://example.org/go", "server"),
    ("python3", "servers/make"),
    ("./make", "serve"),
    ("sh", "servers/x.sh"),
    ("sh", "-c", "exec python3 -m servers.x --port=80"),
    ("/usr/bin/env", "python3", "servers/x.py"),
    ("docker", "run", "-i", "--rm", "mcp/fetch"),
    ("uv", "--directory", "/elsewhere/tickets", "run", "server.py"),
    ("npm", "--prefix=/elsewhere/tickets", "start"),
]


@pytest.mark.parametrize("command", EVERYTHING, ids=" ".join)
def test_a_command_that_reads_instructions_from_the_folder_may_run_anything_there(command: tuple[str, ...]) -> None:
    assert may_run_folder(ROOT, command)


@pytest.mark.parametrize("command", NAMED_ONLY, ids=" ".join)
def test_any_other_command_runs_only_the_files_it_names(command: tuple[str, ...]) -> None:
    assert not may_run_folder(ROOT, command)
