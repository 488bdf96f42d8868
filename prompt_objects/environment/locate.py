"""Finding the environment to use."""

from collections.abc import Mapping
from pathlib import Path

from prompt_objects.errors import NoEnvironment


def is_environment(folder: Path) -> bool:
    """Return whether a folder is an environment: it has `objects/` or `environment.yaml`."""
    return (folder / "objects").is_dir() or (folder / "environment.yaml").is_file()


def require_environment(folder: Path, source: str = "") -> Path:
    """Return the folder; raises `NoEnvironment` if it is not an environment. `source` says where it was named."""
    if is_environment(folder):
        return folder
    origin = f"{source}: " if source else ""
    raise NoEnvironment(
        f"{origin}{folder} is not an environment: it has no objects/ and no environment.yaml.",
        hint=f"Create one with: prompt-objects init {folder}",
    )


def personal_folder() -> Path:
    """Return the user's personal environment, in the data folder of the operating system."""
    from platformdirs import user_data_path

    return user_data_path("prompt_objects", appauthor=False)


def named_folder(name: str, here: Path | None = None) -> Path:
    """Return the absolute path of a folder, relative to `here`, by default the current folder.

    Raises `NoEnvironment` if the current folder is needed and was deleted.
    """
    try:
        folder = Path(name).expanduser()
    except RuntimeError:  # a ~ followed by an unknown user name
        folder = Path(name)
    return folder if folder.is_absolute() else (here or _here()) / folder


def locate(explicit: str | None, environ: Mapping[str, str], here: Path | None = None) -> Path | None:
    """Return the folder of the environment to use; None if none was found.

    The order is `--env`, `PROMPT_OBJECTS_ENV`, then `here` (by default the current folder) and its parents. Raises
    `NoEnvironment` if the named folder is not an environment, or the current folder is needed and was deleted.
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
            "The current folder was deleted or cannot be read.",
            hint="Change to another folder, or give the absolute path of the environment: --env /DIR",
        ) from error
