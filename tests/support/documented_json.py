"""The keys of `--json` output, as docs/commands.md lists them."""

import re

from tests.support.paths import DOCS

PAGE = (DOCS / "commands.md").read_text(encoding="utf-8")


def documented(title: str) -> list[str]:
    """Return the keys that the page lists below a heading."""
    section = PAGE.partition(f"\n### {title}\n")[2].partition("\n#")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


SESSION = documented("A session")
OBJECT = documented("A prompt object")
