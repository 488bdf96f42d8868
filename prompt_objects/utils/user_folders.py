"""The user's own folders for this program, in the places of the operating system."""

from contextlib import suppress
from pathlib import Path

_PROGRAM = "prompt_objects"


def config_folder() -> Path:
    """Return the folder of the files that the user writes."""
    from platformdirs import user_config_path

    return user_config_path(_PROGRAM, appauthor=False)


def data_folder() -> Path:
    """Return the folder of the personal environment."""
    from platformdirs import user_data_path

    return user_data_path(_PROGRAM, appauthor=False)


def state_folder() -> Path:
    """Return the folder of what the program remembers: trust, logins and unsaved messages."""
    from platformdirs import user_state_path

    return user_state_path(_PROGRAM, appauthor=False)


def abbreviated(path: Path) -> str:
    """Return a path for the screen: the user's home folder is `~`."""
    with suppress(RuntimeError, ValueError):  # the home folder is unknown, or another folder
        return str(Path("~") / path.relative_to(Path.home()))
    return str(path)
