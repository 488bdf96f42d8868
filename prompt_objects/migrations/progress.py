"""How far an environment was brought, and what was done to it: `migrations.json` in its data folder."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from prompt_objects.errors import NewerEnvironment
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.time import now

if TYPE_CHECKING:
    from prompt_objects.migrations.change import ObjectChange

__all__ = [
    "Applied",
    "OriginalFile",
    "Progress",
    "ProgressFile",
    "Row",
    "StartedStep",
    "row_of",
]


class Row(Struct, frozen=True, kw_only=True):
    """What was done, or is to be done, about one object in one file, in figures; a `problem` says why nothing was."""

    object: str
    file: str
    sessions: int = 0
    messages: int = 0
    set_aside: int = 0
    changed: bool = False
    problem: str = ""


class Applied(Struct, frozen=True, kw_only=True):
    """A step that was taken: when, by which version of the program, where the backup is, and what it did."""

    number: int
    name: str
    version: str
    at: str
    backup: str | None = None
    rows: list[Row] = []


class OriginalFile(Struct, frozen=True):
    """A file that a step changes: its copy in the backup, its permissions, the hash of what it becomes, if any."""

    copy: str
    mode: int
    after: str | None


class StartedStep(Struct, frozen=True, kw_only=True):
    """A step that was begun, so that whoever goes on after an interruption knows what there is to finish or undo.

    `sessions` are the ids of those to be made, by what they are made from; `files` are by their paths.
    """

    step: int
    backup: str
    sessions: dict[str, str] = {}
    files: dict[str, OriginalFile] = {}
    rows: list[Row] = []


class Progress(Struct, frozen=True):
    """The steps that were taken, and the one that was begun, if any."""

    applied: list[Applied] = []
    under_way: StartedStep | None = None

    def numbers(self) -> set[int]:
        """Return the numbers of the steps that were taken."""
        return {step.number for step in self.applied}


_DECODER = msgspec.json.Decoder(Progress)  # made here, as msgspec must not learn a struct in two threads at once


class ProgressFile:
    """The file that notes the progress; `known` are the numbers of the steps that this version ships."""

    def __init__(self, data_dir: Path, known: Collection[int]) -> None:
        self._path = data_dir / "migrations.json"
        self._known = known

    def read(self) -> Progress | None:
        """Return what was noted; None where it cannot be understood.

        Raises `StoreError`, and `NewerEnvironment` where it has a step that this version does not know.
        """
        try:
            progress = _DECODER.decode(self._path.read_bytes())
        except FileNotFoundError:
            return Progress()
        except OSError as error:
            raise disk.store_error("read", self._path, error) from error
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        begun = {progress.under_way.step} if progress.under_way else set[int]()
        if unknown := (progress.numbers() | begun).difference(self._known):
            raise NewerEnvironment(
                f"The environment of {self._path.parent} was made by a newer version: it has step {max(unknown):04} "
                "of the migrations, which this version does not know. Nothing was touched.",
                hint="Install the newer version: pip install --upgrade prompt-objects",
            )
        return progress

    def write(self, progress: Progress) -> None:
        """Replace what was noted, durably; raises `StoreError`."""
        try:
            disk.replace_file(self._path, [msgspec.json.format(msgspec.json.encode(progress), indent=1), b"\n"])
        except OSError as error:
            raise disk.store_error("written", self._path, error) from error

    def quarantine(self) -> Progress:
        """Keep a file that cannot be understood beside its place; the steps that it had find nothing to do."""
        corrupt = self._path.with_name(f"{self._path.name}.corrupt-{now():%Y%m%dT%H%M%S%fZ}")
        try:
            self._path.rename(corrupt)
        except OSError as error:
            raise disk.store_error("moved", self._path, error) from error
        return Progress()


def row_of(change: "ObjectChange") -> Row:
    """Sum up a change."""
    return Row(
        object=change.object,
        file=change.file,
        sessions=len(change.sessions),
        messages=sum(len(session.messages) for session in change.sessions),
        set_aside=len(change.aside),
        changed=bool(change.files),
        problem=change.problem,
    )
