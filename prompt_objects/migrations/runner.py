"""The steps that an environment needs, applied by one process at a time."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_objects.errors import MigrationFailed, StoreError
from prompt_objects.migrations.change import Target
from prompt_objects.migrations.progress import ProgressFile
from prompt_objects.migrations.steps import Step, shipped_steps
from prompt_objects.sessions.manager import SessionManager
from prompt_objects.utils import filesystem as disk

if TYPE_CHECKING:
    from prompt_objects.migrations.apply import StepResult


class Migrations:
    """The migrations of one environment. Raises `NewerEnvironment`, `MigrationFailed` and `StoreError`."""

    def __init__(self, folder: Path, data_dir: Path, steps: Sequence[Step] | None = None) -> None:
        self._target = Target(folder, data_dir)
        self._steps = shipped_steps() if steps is None else steps
        self._progress = ProgressFile(data_dir, {step.number for step in self._steps})

    def is_due(self) -> bool:
        """Return whether a step needs to run; reads one small file."""
        progress = self._progress.read()
        return progress is None or progress.started is not None or len(progress.numbers()) < len(self._steps)

    def preview(self) -> "list[StepResult]":
        """Return what `run` with `repeat` would do; writes nothing, and opens no store."""
        from prompt_objects.migrations.apply import preview

        self._progress.read()
        return [preview(step, self._target) for step in self._steps]

    def run(self, sessions: SessionManager, *, repeat: bool = False) -> "list[StepResult]":
        """Apply the steps not applied yet, or all with `repeat`; a started one first. Other processes wait."""
        from prompt_objects.migrations.apply import Application

        with disk.locked_file(self._target.data_dir / "migrations.lock"):
            progress = self._progress.read() or self._progress.quarantine()
            started = progress.started.step if progress.started else None
            done = progress.numbers() - {started}
            steps = [step for step in self._steps if repeat or step.number not in done]
            steps.sort(key=lambda step: step.number != started)  # a started step is finished first
            return [Application(step, self._target, self._progress, sessions).apply() for step in steps]

    def pending_notices(self) -> list[str]:
        """Return a notice for the user if a step would change anything."""
        if not any(result.changes for result in self.preview()):
            return []
        return ["This environment is of an older version. To bring it up to date: prompt-objects migrate"]

    def run_at_opening(self, sessions: SessionManager) -> list[str]:
        """Run, and return notices for the user, also for a failure; a read-only environment stays as it is."""
        try:
            try:
                return [notice for result in self.run(sessions) for notice in result.notices()]
            except StoreError as error:
                if not any(result.changes for result in self.preview()):
                    return []
                return [f"This environment could not be brought up to date. {error} {error.hint}".rstrip()]
        except MigrationFailed as error:
            return [f"{error} {error.hint}".rstrip()]
