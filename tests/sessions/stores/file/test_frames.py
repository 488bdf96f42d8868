"""Request frames in files: private, written once, repaired, and never through a link."""

import os
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from prompt_objects.errors import Damaged, NotFound, StoreError
from prompt_objects.sessions.stores.file.frames import FileFrames
from prompt_objects.sessions.stores.file.store import FileStore
from prompt_objects.sessions.stores.frames import digest_of

FRAME = b'{"model":"m"}'
DIGEST = digest_of(FRAME)
HOURS = 3600


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "frames"


@pytest.fixture
def frames(folder: Path) -> FileFrames:
    return FileFrames(folder)


@pytest.fixture
def file(frames: FileFrames, folder: Path) -> Path:
    frames.keep(FRAME)
    return folder / f"{DIGEST}.json"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def age(path: Path, hours: float) -> None:
    moment = time.time() - hours * HOURS
    os.utime(path, (moment, moment))


def test_a_frame_is_a_private_file_of_exactly_its_bytes(file: Path, folder: Path) -> None:
    assert file.read_bytes() == FRAME
    assert (mode(file), mode(folder)) == (0o600, 0o700)
    assert os.listdir(folder) == [file.name]  # noqa: PTH208 - only names are needed


def test_a_known_frame_is_neither_written_nor_renewed(frames: FileFrames, file: Path, folder: Path) -> None:
    age(file, 0.4)
    before = file.stat()
    for each in (frames, frames, FileFrames(folder)):
        each.keep(FRAME)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("hours", [0.6, 400, -2])
def test_an_old_or_future_time_of_use_is_renewed_without_writing(
    frames: FileFrames, file: Path, hours: float
) -> None:
    age(file, hours)
    before = file.stat().st_ino
    frames.keep(FRAME)
    assert abs(file.stat().st_mtime - time.time()) < 60
    assert file.stat().st_ino == before


@pytest.mark.parametrize("damage", [b"", FRAME[:5], b'{"model":"n"}', FRAME + b" "])
def test_a_damaged_frame_is_reported_and_repaired_by_the_next_keep(
    frames: FileFrames, file: Path, damage: bytes
) -> None:
    file.write_bytes(damage)
    with pytest.raises(Damaged):
        frames.get(DIGEST)
    frames.keep(FRAME)
    assert frames.get(DIGEST) == FRAME


def test_permissions_that_came_with_a_copy_are_taken_away(file: Path, folder: Path) -> None:
    file.chmod(0o644)
    FileFrames(folder).keep(FRAME)
    assert mode(file) == 0o600
    store = FileStore(folder.parent)
    folder.chmod(0o755)
    file.chmod(0o644)
    (issue,) = store.check()
    assert issue.problem == "Other users may read this folder and 1 file in it."
    store.check(repair=True)
    assert (mode(file), mode(folder)) == (0o600, 0o700)


def put_link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "foreign")


IN_PLACE: dict[str, Callable[[Path], None]] = {
    "link": put_link,
    "pipe": os.mkfifo,
    "folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("kind", IN_PLACE)
def test_something_else_in_the_place_of_a_frame_is_never_used(
    frames: FileFrames, file: Path, folder: Path, kind: str
) -> None:
    (folder.parent / "foreign").write_bytes(FRAME)
    file.unlink()
    IN_PLACE[kind](file)
    with pytest.raises(Damaged):
        frames.get(DIGEST)
    assert frames.list() == {}
    if kind == "folder":
        with pytest.raises(StoreError, match="could not be written"):
            frames.keep(FRAME)
    else:
        frames.keep(FRAME)
        assert stat.S_ISREG(file.lstat().st_mode)
        assert frames.get(DIGEST) == FRAME
    assert (folder.parent / "foreign").read_bytes() == FRAME


def test_a_link_in_the_place_of_the_folder_is_refused(file: Path, folder: Path) -> None:
    foreign = folder.rename(folder.with_name("foreign"))
    folder.symlink_to(foreign)
    frames = FileFrames(folder)
    uses: list[Callable[[], object]] = [
        lambda: frames.keep(FRAME),
        lambda: frames.keep(b"{}"),
        lambda: frames.get(DIGEST),
        frames.list,
        frames.leftovers,
        lambda: frames.remove(DIGEST, unused_for=timedelta(seconds=-1)),
    ]
    for use in uses:
        with pytest.raises(StoreError, match="symbolic link"):
            use()
    assert os.listdir(foreign) == [f"{DIGEST}.json"]  # noqa: PTH208 - only names are needed


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_an_error_and_its_frames_are_read(
    frames: FileFrames, file: Path, folder: Path
) -> None:
    folder.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="could not be written"):
            frames.keep(b"{}")
        frames.keep(FRAME)
        assert FileFrames(folder).get(DIGEST) == FRAME
    finally:
        folder.chmod(0o700)


def test_a_removal_of_a_frame_in_use_hides_it_from_no_reader(frames: FileFrames, file: Path, folder: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2000):
            removing = pool.submit(frames.remove, DIGEST, unused_for=timedelta(hours=1))
            assert FileFrames(folder).get(DIGEST) == FRAME
            assert not removing.result()
    assert file.read_bytes() == FRAME


class TestInterruptedRemoval:
    @pytest.fixture
    def aside(self, file: Path) -> Path:
        """The frame after a removal that was killed when it had renamed the file."""
        return file.rename(file.with_name(f".{file.name}.0123abcd.tmp"))

    def test_its_frame_is_still_read_and_gets_its_name_back_by_a_repair(
        self, frames: FileFrames, aside: Path, file: Path, folder: Path
    ) -> None:
        age(aside, 2)
        assert frames.get(DIGEST) == FRAME
        store = FileStore(folder.parent)
        (issue,) = store.check()
        assert issue.place == str(aside)
        store.check(repair=True)
        assert store.check() == []
        assert file.read_bytes() == FRAME

    def test_a_reader_reads_its_frame_and_changes_nothing(self, aside: Path, folder: Path) -> None:
        reader = FileFrames(folder, read_only=True)
        assert reader.get(DIGEST) == FRAME
        for frame in (FRAME, b"{}"):
            with pytest.raises(StoreError, match="for reading only"):
                reader.keep(frame)
        assert list(folder.iterdir()) == [aside]

    def test_an_incomplete_write_is_no_frame_and_is_removed(
        self, frames: FileFrames, aside: Path, file: Path, folder: Path
    ) -> None:
        aside.write_bytes(FRAME[:5])
        age(aside, 2)
        with pytest.raises(NotFound):
            frames.get(DIGEST)
        FileStore(folder.parent).check(repair=True)
        assert not aside.exists()
        assert not file.exists()
