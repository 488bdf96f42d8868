"""Guarantees after every operation: the files are plain JSON, the index is correct, no history was opened."""

import ast
import random
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.file.store import FileStore
from tests.support.campaign.expectation import State, after
from tests.support.campaign.inspection import check_files, observe
from tests.support.campaign.operations import carry_out, choose_operation
from tests.support.campaign.processes import STEP

pytest_plugins = ["tests.support.campaign.fixtures"]


def test_both_files_are_plain_json_and_tell_the_same_after_every_acknowledgement(memory_folder: Path) -> None:
    choose, state = random.Random(1), State()
    with closing(FileStore(memory_folder)) as store:
        for number in range(300):
            operation = choose_operation(choose, state, number * STEP)
            carry_out(store, operation, state.get(operation.id))
            state = after(state, operation)
            if state:
                check_files(memory_folder)
        assert observe(store) == state
        assert store.check() == []


def test_listing_opens_no_history(tmp_path: Path) -> None:
    """Checked by the system calls of a separate process."""
    with closing(FileStore(tmp_path)) as store:
        for number in range(20):
            SessionManager(store, "reader").create(f"Notes {number}").append({"role": "user", "content": "x"})
    script = f"""
import sys
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
from prompt_objects.sessions.stores.file.store import FileStore
from pathlib import Path
store = FileStore(Path({str(tmp_path)!r}))
assert len(store.list()) == 20 and len(store.list(limit=5)) == 5
print([path for path in opened if {str(tmp_path)!r} in path])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    opened = {Path(path).name for path in ast.literal_eval(done.stdout)}
    assert opened == {"index.json", "index.json.lock"}


def test_a_clock_that_goes_backwards_loses_and_disorders_nothing(tmp_path: Path) -> None:
    script = f"""
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from prompt_objects import message
steps = count()
message.now = lambda: datetime(2030, 1, 1, tzinfo=UTC) - timedelta(seconds=7 * next(steps))
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.sessions.stores.file.store import FileStore
store = FileStore(Path({str(tmp_path)!r}))
sessions = [SessionManager(store, "reader").create(f"Notes {{number}}") for number in range(8)]
for number in range(80):
    sessions[number % 8].append({{"role": "user", "content": str(number)}})
    assert store.list(limit=3) == store.list()[:3]
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    with closing(FileStore(tmp_path)) as store:
        infos = store.list()
        assert len(infos) == 8
        assert store.list(limit=3) == infos[:3]
        for info in infos:
            contents = [int(message["content"]) for message in store.read(info.id, 0, 99)]
            assert contents == sorted(contents)
            assert len(contents) == 10
        assert store.check() == []
    check_files(tmp_path)
