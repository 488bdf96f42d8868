"""Finding the environment to use."""

import os
import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

from prompt_objects.config.environment import CONFIG_FILE, DATA_DIR
from prompt_objects.environment.catalog import SUFFIXES
from prompt_objects.errors import NoEnvironment
from prompt_objects.utils.user_folders import data_folder

_MAX_BYTES = 64 * 1024
_MAX_FILES = 1_000
_KEY = rb"""(?m)(?:^|[{,]\s*)["']?%s["']?\s*:"""
_NAME, _PROMPT = (re.compile(_KEY % key) for key in (b"name", b"prompt"))
# The keys of environment.yaml; a test compares them with its schema, which takes longer to load.
_SETTINGS = (
    b"default_object|data_dir|models?|limits|user|editing_mode|prose_width|store|pool_size|max_session_size|compress"
    b"|backups|prune|approval|http_allow|mcp_servers|logs|pin"
)
_SETTING = re.compile(rb"""(?m)^["']?(?:%s)["']?\s*:""" % _SETTINGS)
_SETTING_IN_BRACES = re.compile(rb"""[{,]\s*["']?(?:%s)["']?\s*:""" % _SETTINGS)


def is_environment(folder: Path) -> bool:
    """Return whether a folder is an environment.

    It has a data folder, a definition in `objects/`, or an `environment.yaml` with a setting of this program. Other
    programs use these names, too: conda its `environment.yaml`, git and games a folder `objects`.
    """
    with suppress(OSError):
        return (
            (folder / DATA_DIR).is_dir() or _has_definition(folder / "objects") or has_settings(folder / CONFIG_FILE)
        )
    return False


def has_settings(file: Path) -> bool:
    """Return whether an environment.yaml contains a setting of this program."""
    text = _start_of(file)
    return bool((_SETTING_IN_BRACES if text.lstrip().startswith(b"{") else _SETTING).search(text))


def _has_definition(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    files = (path for path in folder.iterdir() if path.suffix in SUFFIXES)
    return any(map(_is_definition, islice(files, _MAX_FILES)))


def _is_definition(file: Path) -> bool:
    text = _start_of(file)
    if file.suffix == ".md":  # its prompt is the text below the front matter
        return text.startswith(b"---") and bool(_NAME.search(text))
    return bool(_NAME.search(text) and _PROMPT.search(text))


def _start_of(file: Path) -> bytes:
    """Return the first bytes of a file without a BOM; none if it is not a regular file, or cannot be read."""
    with suppress(OSError):
        if file.is_file():
            with file.open("rb") as stream:
                return stream.read(_MAX_BYTES).removeprefix(BOM_UTF8)
    return b""


def require_environment(folder: Path, source: str = "") -> Path:
    """Return a folder that the user named; raises `NoEnvironment` if it is not an environment.

    A folder `objects` is enough, even without a definition. `source` says where the folder was named.
    """
    if is_environment(folder) or ((folder / "objects").is_dir() and not (folder / "HEAD").exists()):
        return folder
    origin = f"{source}: " if source else ""
    raise NoEnvironment(
        f"{origin}{folder} is not an environment: it has no objects/, and no settings in {CONFIG_FILE}.",
        hint=f"Create one with: prompt-objects init {folder}",
    )


def personal_folder() -> Path:
    """Return the user's personal environment, which need not exist."""
    return data_folder()


def named_folder(name: str, here: Path | None = None) -> Path:
    """Return the absolute path of a folder, relative to `here`, by default the current folder.

    Raises `NoEnvironment` if the current folder is needed and was deleted.
    """
    try:
        folder = Path(name).expanduser()
    except RuntimeError:  # a ~ followed by an unknown user name
        folder = Path(name)
    return folder if folder.is_absolute() else (here or _here()) / folder


def locate(
    explicit: str | None, environ: Mapping[str, str], here: Path | None = None, notices: list[str] | None = None
) -> Path | None:
    """Return the folder of the environment to use; None if none was found.

    The order is `--env`, `PROMPT_OBJECTS_ENV`, then `here` (by default the current folder) and its parents, up to the
    home folder, the root of a repository or of a file system. Folders of other users are left out, with a line in
    `notices`. Raises `NoEnvironment` if the named folder is not an environment, or the current folder is needed and
    was deleted.
    """
    for named, source in ((explicit, "--env"), (environ.get("PROMPT_OBJECTS_ENV"), "PROMPT_OBJECTS_ENV")):
        if named:
            return require_environment(named_folder(named, here), source)
    for folder in _up_from(here or _here()):
        if is_environment(folder):
            if _is_own(folder):
                return folder
            if notices is not None:
                notices.append(f"The environment {folder} belongs to another user. To use it: --env {folder}")
    return None


def _up_from(here: Path) -> Iterator[Path]:
    home = os.path.expanduser("~")  # noqa: PTH111 - it does not raise
    for folder in (here, *here.parents):
        yield folder
        if str(folder) in {home, os.path.realpath(home)} or (folder / ".git").exists() or os.path.ismount(folder):
            return


def _is_own(folder: Path) -> bool:
    return not hasattr(os, "geteuid") or folder.stat().st_uid == os.geteuid()


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise NoEnvironment(
            "The current folder was deleted or cannot be read.",
            hint="Change to another folder, or give the absolute path of the environment: --env /DIR",
        ) from error
