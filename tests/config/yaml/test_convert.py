from pathlib import Path

import pytest

from tests.support.forked import run_forked

SCRIPT = """
import sys, threading
from pathlib import Path
import yaml
from prompt_objects.config.definition import load_definition

sys.setswitchinterval(1e-6)
start = threading.Barrier(8)

def read():
    start.wait()
    load_definition(Path("scout.yaml"))

threads = [threading.Thread(target=read) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@pytest.mark.parametrize("attempt", range(8))
def test_many_threads_may_read_their_first_definition_at_the_same_time(tmp_path: Path, attempt: int) -> None:
    (tmp_path / "scout.yaml").write_text("name: scout\nprompt: You look.\nlimits: {requests: 3}\ncapabilities: [x]\n")
    (tmp_path / "threads.py").write_text(SCRIPT)
    assert run_forked(tmp_path / "threads.py", cwd=tmp_path).returncode == 0
