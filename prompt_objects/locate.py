"""Finding the environment that a person means."""

from collections.abc import Mapping
from pathlib import Path

from prompt_objects.errors import NoEnvironment

__all__ = ["is_environment", "locate", "personal_folder"]


def is_environment(folder: Path) -> bool:
    """Tell whether a folder holds an environment: it has `objects/` or `environment.yaml`."""
    return (folder / "objects").is_dir() or (folder / "environment.yaml").is_file()


def personal_folder() -> Path:
    """Return where a person's own environment lives: the user's data folder."""
    from platformdirs import user_data_path

    return user_data_path("prompt_objects", appauthor=False)


def locate(explicit: str | None, environ: Mapping[str, str], here: Path) -> Path | None:
    """Return the environment's folder; None where only the personal one is left.

    Looked for in `--env`, `PROMPT_OBJECTS_ENV`, `here` and its parents, in this order. Raises `NoEnvironment` where
    the one that was named is none.
    """
    for named, source in ((explicit, "--env"), (environ.get("PROMPT_OBJECTS_ENV"), "PROMPT_OBJECTS_ENV")):
        if named:
            folder = Path(named).expanduser().absolute()
            if not is_environment(folder):
                raise NoEnvironment(
                    f"{source}: {folder} is no environment: it has no objects/ and no environment.yaml.",
                    hint=f"Make one there with: prompt-objects init {folder}",
                )
            return folder
    return next((folder for folder in (here, *here.parents) if is_environment(folder)), None)
