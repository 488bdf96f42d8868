"""The index is in order after a process was killed at any write."""

import json
import random
import signal
import time
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from prompt_objects.sessions.stores.file.store import FileStore
from tests.support.forked import ForkedProgram, run_forked
from tests.support.index_entries import check, fill
from tests.support.paths import worker_path

DYING = worker_path("dying")


USING = worker_path("using")


class TestKilled:
    @pytest.mark.parametrize("what", ["use the first", "use another", "delete the first", "create", "rename"])
    def test_a_kill_at_any_write_leaves_every_entry_once(self, tmp_path: Path, what: str) -> None:
        fill(tmp_path, 200)
        check(tmp_path)
        with closing(FileStore(tmp_path)) as store:
            for number, when in product(range(9), ("during", "after")):
                is_dead = run_forked(DYING, tmp_path, what, str(number), when).returncode == -signal.SIGKILL
                assert check(tmp_path) == store.list()
                if not is_dead:
                    break
            assert not is_dead
            assert number > 1

    def test_programs_that_are_killed_while_entries_move_lose_none(self, tmp_path: Path) -> None:
        choose = random.Random(7)
        fill(tmp_path, 200)
        check(tmp_path)
        with closing(FileStore(tmp_path)) as store:
            for _ in range(15):
                workers = [ForkedProgram(USING, tmp_path) for _ in range(2)]
                while not all(worker.output() for worker in workers):
                    time.sleep(0.001)
                time.sleep(choose.random() * 0.05)
                for worker in workers:
                    worker.kill()
                    worker.wait()
                assert check(tmp_path)[:20] == store.list(limit=20)
                json.loads((tmp_path / "sessions" / "index.json").read_bytes())
