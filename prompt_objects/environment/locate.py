"""Finding the environment that a person means."""

from collections.abc import Mapping
from pathlib import Path

from prompt_objects.errors import NoEnvironment

__all__ = [
    "is_environment",
    "locate",
    "named_folder",
    "personal_folder",
    "require_environment",
]


def is_environment(folder: Path) -> bool:
    """Tell whether a folder holds an environment: it has `objects/` or `environment.yaml`."""
    return (folder / "objects").is_dir() or (folder / "environment.yaml").is_file()


def require_environment(folder: Path, source: str = "") -> Path:
    """Return the folder; raises `NoEnvironment` where it is none. `source` says where its name was read."""
    if is_environment(folder):
        return folder
    raise NoEnvironment(
        f"{f'{source}: ' if source else ''}{folder} is no environment: it has no objects/ and no environment.yaml.",
        hint=f"Make one there with: prompt-objects init {folder}",
    )


def personal_folder() -> Path:
    """Return where a person's own environment lives: the user's data folder."""
    from platformdirs import user_data_path

    return user_data_path("prompt_objects", appauthor=False)


def named_folder(name: str, here: Path | None = None) -> Path:
    """Return the folder that was named, in full: from `here` on, by default the current folder.

    Raises `NoEnvironment` where the current folder is needed and was deleted.
    """
    try:
        folder = Path(name).expanduser()
    except RuntimeError:  # a ~ and then nobody's name
        folder = Path(name)
    return folder if folder.is_absolute() else (here or _here()) / folder


def locate(explicit: str | None, environ: Mapping[str, str], here: Path | None = None) -> Path | None:
    """Return the environment's folder; None where only the personal one is left.

    Looked for in `--env`, `PROMPT_OBJECTS_ENV`, `here` (by default the current folder, which is asked for only
    then) and its parents, in this order. Raises `NoEnvironment` where the one that was named is none, and where the
    current folder is needed and was deleted.
    """
    for named, source in ((explicit, "--env"), (environ.get("PROMPT_OBJECTS_ENV"), "PROMPT_OBJECTS_ENV")):
        if named:
            return require_environment(named_folder(named, here), source)
    here = here or _here()
    return next((folder for folder in (here, *here.parents) if is_environment(folder)), None)


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise NoEnvironment(
            "The current folder was deleted, or cannot be read.",
            hint="Go to another one, or name the environment's folder in full: --env /DIR",
        ) from error
