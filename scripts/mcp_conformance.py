"""Run the public conformance suite for MCP clients against this program's client.

    python scripts/mcp_conformance.py [SCENARIO…]

Installs the npm package @modelcontextprotocol/conformance, and the Node.js that it needs, into a temporary folder;
runs each scenario, with this script as the client; and prints the number of passed checks, which docs/proof.md shows.
A browser is simulated, and the user leaves every question at its default. Needs npm, and the extra `test`.
"""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("node@22", "@modelcontextprotocol/conformance@0.1.16")
SCENARIOS = (
    *("initialize", "tools_call", "elicitation-sep1034-client-defaults", "sse-retry"),
    *(f"auth/metadata-{name}" for name in ("default", "var1", "var2", "var3")),
    *(f"auth/scope-{name}" for name in ("from-www-authenticate", "from-scopes-supported", "omitted-when-undefined")),
    *("auth/scope-step-up", "auth/scope-retry-limit"),
    *(f"auth/token-endpoint-auth-{name}" for name in ("basic", "post", "none")),
    *("auth/resource-mismatch", "auth/offline-access-scope", "auth/offline-access-not-supported"),
    *("auth/2025-03-26-oauth-endpoint-fallback", "auth/2025-03-26-oauth-metadata-backcompat"),
    *("auth/basic-cimd", "auth/pre-registration"),
)
ARGUMENTS = {"service_add_numbers": {"a": 5, "b": 3}}


async def use(url: str) -> None:
    """Call every tool of a service, as a prompt object would."""
    sys.path.insert(0, str(ROOT))
    from prompt_objects.config.environment_schema import ServerConfig
    from prompt_objects.errors import ToolError
    from tests.support.interaction import Answers
    from tests.support.mcp_servers import Turn, using

    async def browse(turn: Turn) -> None:
        from httpx2 import AsyncClient

        async with AsyncClient(follow_redirects=True) as browser:
            while True:
                for notice in turn.notices():
                    if "Open: " in notice:
                        await browser.get(notice.partition("Open: ")[2])
                await asyncio.sleep(0.05)

    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        async with using(Path(folder), {"service": ServerConfig(url=url)}) as turn:
            turn.context.services.interaction.handler = Answers()
            browser = asyncio.create_task(browse(turn))
            for name, tool in (await turn.tools(name="service")).items():
                try:
                    print(name, await tool.run(ARGUMENTS.get(name, {}), turn.context))
                except ToolError as error:
                    print(error)
            browser.cancel()


def run(scenario: str, folder: Path) -> str:
    """Run a scenario and return a line with its result."""
    programs = folder / "node_modules" / ".bin"
    client = f"{sys.executable} {Path(__file__).resolve()} --use"
    done = subprocess.run(
        [programs / "conformance", "client", "--command", client, "--scenario", scenario, "-o", folder / "results"],
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    passed = re.search(r"Passed: (\d+)/(\d+), (\d+) failed, (\d+) warnings", done.stdout)
    return f"{scenario}: {passed[0] if passed else 'it did not run'}"


def main() -> None:
    """Use a service, or run the suite."""
    if sys.argv[1:2] == ["--use"]:
        asyncio.run(use(sys.argv[-1]))
        return
    with tempfile.TemporaryDirectory() as name:
        subprocess.run(["npm", "install", "--silent", "--prefix", name, *PACKAGES], check=True)
        for scenario in sys.argv[1:] or SCENARIOS:
            print(run(scenario, Path(name)), flush=True)


if __name__ == "__main__":
    main()
