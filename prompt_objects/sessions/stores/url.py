"""URLs of stores: their paths, and their form without passwords."""

import os
import re
from pathlib import Path

from prompt_objects.errors import UsageError

_LOCAL = re.compile(r"(files:|sqlite:///)(.+)", re.DOTALL)
_PASSWORD = re.compile(r"((?:^|:)//[^/?#:]*:).*(?=@)", re.DOTALL)  # to the last @: a password may contain @ and /
_NAMED_PASSWORD = re.compile(r"([?&](?:ssl)?password=)[^&]*", re.IGNORECASE)


def expanded(text: str) -> Path:
    """Return the path, with ~ expanded. Raises `UsageError` if the user of the home does not exist."""
    user, slash, rest = text.partition("/")
    if not user.startswith("~") or "\0" in user:
        return Path(text)
    home = os.path.expanduser(user)  # noqa: PTH111 - it does not raise
    if home == user:
        raise UsageError(f"{text!r} starts with an unknown user's home folder.", hint="Write the path in full.")
    return Path(f"{home}{slash}{rest}")


def local_path(url: str) -> Path | None:
    """Return the folder or file of a URL; None if it has none. Raises the errors of `expanded`."""
    local = _LOCAL.fullmatch(url)
    return expanded(local[2]) if local else None


def resolved(url: str, folder: Path) -> str:
    """Return the URL with an absolute path; a relative one starts at `folder`. Raises the errors of `expanded`."""
    path = local_path(url)
    return url if path is None else f"{'files:' if url.startswith('files:') else 'sqlite:///'}{folder / path}"


def places(url: str, *, outside: Path) -> list[Path]:
    """Return the files and folders with the sessions of a store; none of them contains `outside`."""
    path = local_path(url)
    if path is None:
        return []
    if url.startswith("files:"):
        return [path / "sessions"] if outside.resolve().is_relative_to(path.resolve()) else [path]
    return [Path(f"{path}{ending}") for ending in ("", "-wal", "-shm", "-journal")]


def beside(data_dir: Path, url: str) -> Path:
    """Return the folder for the other files of a store that is not the default one."""
    from hashlib import sha256

    return data_dir / "stores" / sha256(masked(url).encode(errors="surrogateescape")).hexdigest()[:16]


def masked(url: str) -> str:
    """Return the URL without its passwords."""
    return _PASSWORD.sub(r"\1***", _NAMED_PASSWORD.sub(r"\1***", url))
