"""The record of applied steps: `migrations.json` in the data folder."""

from collections.abc import Collection
from pathlib import Path

import msgspec
from msgspec import Struct

from prompt_objects.errors import NewerEnvironment
from prompt_objects.migrations.change import ObjectChange
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.time import now


class ChangeSummary(Struct, frozen=True, kw_only=True):
    """Counts of the changes for one object in one file; if there are none, `problem` says why."""

    object: str
    file: str
    sessions: int = 0
    messages: int = 0
    skipped: int = msgspec.field(default=0, name="set_aside")
    changed: bool = False
    problem: str = ""


class AppliedStep(Struct, frozen=True, kw_only=True):
    """An applied step: when, by which version of the program, with its backup and its changes."""

    number: int
    name: str
    version: str
    at: str
    backup: str | None = None
    changes: list[ChangeSummary] = msgspec.field(default_factory=list, name="rows")


class OriginalFile(Struct, frozen=True):
    """A file that a step changes: its copy in the backup, its permissions, and the hash of its new content."""

    copy: str
    mode: int
    after: str | None


class StartedStep(Struct, frozen=True, kw_only=True):
    """A started step: the IDs of new sessions by their source, the changed files by path, and the changes so far."""

    step: int
    backup: str
    sessions: dict[str, str] = {}
    files: dict[str, OriginalFile] = {}
    changes: list[ChangeSummary] = msgspec.field(default_factory=list, name="rows")


class Progress(Struct, frozen=True):
    """The applied steps, and the started one if there is one."""

    applied: list[AppliedStep] = []
    started: StartedStep | None = msgspec.field(default=None, name="under_way")  # its name in the file

    def numbers(self) -> set[int]:
        return {step.number for step in self.applied}


_DECODER = msgspec.json.Decoder(Progress)  # created at import, as msgspec must not inspect a struct in two threads


class ProgressFile:
    """Reads and writes the record; `known` are the numbers of the steps of this version."""

    def __init__(self, data_dir: Path, known: Collection[int]) -> None:
        self._path = data_dir / "migrations.json"
        self._known = known

    def read(self) -> Progress | None:
        """Return the record, None if it is invalid; raises `StoreError`, and `NewerEnvironment` for unknown steps."""
        try:
            progress = _DECODER.decode(disk.read_file(self._path))
        except FileNotFoundError:
            return Progress()
        except OSError as error:
            raise disk.store_error("read", self._path, error) from error
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        started = {progress.started.step} if progress.started else set[int]()
        if unknown := (progress.numbers() | started).difference(self._known):
            raise NewerEnvironment(
                f"The environment of {self._path.parent} comes from a newer version: it has step {max(unknown):04} "
                "of the migrations, which this version does not know. Nothing was changed.",
                hint="Install the newer version: pip install --upgrade prompt-objects",
            )
        return progress

    def write(self, progress: Progress) -> None:
        with disk.store_errors("written", self._path):
            disk.replace_file(self._path, [msgspec.json.format(msgspec.json.encode(progress), indent=1), b"\n"])

    def quarantine(self) -> Progress:
        """Rename an invalid record; steps that were applied will find nothing to do."""
        corrupt = self._path.with_name(f"{self._path.name}.corrupt-{now():%Y%m%dT%H%M%S%fZ}")
        with disk.store_errors("moved", self._path):
            self._path.rename(corrupt)
        return Progress()


def summarize(change: ObjectChange) -> ChangeSummary:
    """Count the parts of a change."""
    return ChangeSummary(
        object=change.object,
        file=change.file,
        sessions=len(change.sessions),
        messages=sum(len(session.messages) for session in change.sessions),
        skipped=len(change.skipped),
        changed=bool(change.files),
        problem=change.problem,
    )
