"""The drawing of a graph; no name can change it."""

import re
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from prompt_objects.analysis.graph import Graph
from prompt_objects.analysis.mermaid import mermaid
from tests.support.teams import snapshot_of


def test_objects_tools_servers_and_missing_capabilities_are_nodes_with_edges(tmp_path: Path) -> None:
    objects = {"a": "capabilities: [b, write, luck, {mcp: hub}]", "b": "capabilities: [look]", "c": "broken: yes"}
    snapshot = snapshot_of(tmp_path, objects, settings="mcp_servers: {hub: {}}\n")
    assert mermaid(snapshot.graph, snapshot.root) == (
        "flowchart TD\n"
        '  n0(["a"]):::root\n'
        '  n1(["b"])\n'
        '  n2(["c"]):::broken\n'
        "  n0 --> n1\n"
        '  n3["write: write"]:::effect\n'
        "  n0 -.-> n3\n"
        '  n4[("hub")]:::effect\n'
        "  n0 -.-> n4\n"
        '  n5["look"]\n'
        "  n1 -.-> n5\n"
        '  n6{{"luck"}}:::broken\n'
        "  n0 -.-x n6\n"
        "  classDef root stroke-width:3px\n"
        "  classDef broken stroke:#c00,stroke-dasharray:4\n"
        "  classDef effect stroke:#c60"
    )


@given(name=st.text(min_size=1))
@example('"]; click n0 href "javascript:alert(1)"')
@example("%%{init: {'theme': 'x'}}%%")
@example("`**bold**` <script> &lt; #quot; \u202e\x1b[31m\nend\n---")
def test_any_file_name_stays_within_its_label(name: str) -> None:
    _, node, *styles = mermaid(Graph({}, objects=[name], tools={}), None).split("\n")
    label = re.fullmatch(r'  n0\(\["((?:[^\W_]|[ _./:\ufffd-]|#[0-9]+;)*)"\]\):::broken', node)
    assert label is not None
    assert len(styles) == 3
    shown = re.sub("#([0-9]+);", lambda found: chr(int(found[1])), label[1])
    assert shown == "".join(
        character if character.isalnum() or character.isprintable() else "\ufffd" for character in name
    )
