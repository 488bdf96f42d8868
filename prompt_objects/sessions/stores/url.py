"""The URL of a store, as it is written and as it may be shown."""

import os
import re
from pathlib import Path

from prompt_objects.errors import UsageError

_LOCAL = re.compile(r"(files:|sqlite:///)(.+)", re.DOTALL)
_PASSWORD = re.compile(r"((?:^|:)//[^/?#:]*:).*(?=@)", re.DOTALL)  # up to the last @: one may hold any character
_NAMED_PASSWORD = re.compile(r"([?&](?:ssl)?password=)[^&]*", re.IGNORECASE)


def expanded(text: str) -> Path:
    """Return the path that is written so, where ~ is a home. Raises `UsageError` for that of nobody."""
    user, slash, rest = text.partition("/")
    if not user.startswith("~") or "\0" in user:
        return Path(text)
    home = os.path.expanduser(user)  # noqa: PTH111 - it does not raise, and returns what it does not know
    if home == user:
        raise UsageError(f"{text!r} begins at the home of a user that there is not.", hint="Write the path in full.")
    return Path(f"{home}{slash}{rest}")


def local_path(url: str) -> Path | None:
    """Return the folder or file that a URL names, None where it names none; raises what `expanded` does."""
    local = _LOCAL.fullmatch(url)
    return expanded(local[2]) if local else None


def resolved(url: str, folder: Path) -> str:
    """Return the URL with its path, if it has one, in full: a relative one begins at `folder`.

    Raises `UsageError` for a path that begins at the home of nobody.
    """
    path = local_path(url)
    return url if path is None else f"{'files:' if url.startswith('files:') else 'sqlite:///'}{folder / path}"


def places(url: str, *, outside: Path) -> list[Path]:
    """Return all files and folders that hold a store's sessions; none is a folder that `outside` is in."""
    path = local_path(url)
    if path is None:
        return []
    if url.startswith("files:"):
        return [path / "sessions"] if outside.resolve().is_relative_to(path.resolve()) else [path]
    return [Path(f"{path}{ending}") for ending in ("", "-wal", "-shm", "-journal")]


def beside(data_dir: Path, url: str) -> Path:
    """Return the folder for what belongs to a store other than the usual one, and does not live in it."""
    from hashlib import sha256

    return data_dir / "stores" / sha256(masked(url).encode(errors="surrogateescape")).hexdigest()[:16]


def masked(url: str) -> str:
    """Return the URL as it may be shown: without its passwords."""
    return _PASSWORD.sub(r"\1***", _NAMED_PASSWORD.sub(r"\1***", url))
