"""The steps of this version: files named `0001_what_it_does.py`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prompt_objects.migrations.change import ObjectChange, Target


_DIGITS = 4


class Step(Struct, frozen=True):
    """A step by its number and its file, which is loaded when the step runs."""

    number: int
    file: Path

    @property
    def name(self) -> str:
        return self.file.stem[_DIGITS + 1 :]

    def load(self) -> "tuple[str, Callable[[Target], Iterable[ObjectChange]]]":
        """Return the first line of the step's docstring, and its function `migrate`."""
        names: dict[str, Any] = {"__name__": self.file.stem, "__file__": str(self.file)}
        exec(compile(self.file.read_bytes(), str(self.file), "exec"), names)  # noqa: S102 - a step of this program
        return (names.get("__doc__") or self.name).partition("\n")[0], names["migrate"]


def shipped_steps() -> list[Step]:
    """Return the steps in order: from inside the package in a wheel, from beside it in a checkout."""
    package = Path(__file__).parent.parent
    shipped = package / "_data" / "migrations"
    folder = shipped if shipped.is_dir() else package.parent / "migrations"
    return steps_in(folder)


def steps_in(folder: Path) -> list[Step]:
    """Return the steps in a folder, in order."""
    files = sorted(path for path in folder.iterdir() if path.suffix == ".py" and path.stem[:_DIGITS].isdecimal())
    return [Step(int(file.stem[:_DIGITS]), file) for file in files]
