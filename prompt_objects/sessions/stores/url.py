"""The URL of a store, as it is written and as it may be shown."""

import re
from pathlib import Path

__all__ = ["beside", "masked", "resolved"]

_LOCAL = re.compile(r"(files:|sqlite:///)(.*)", re.DOTALL)
_PASSWORD = re.compile(r"(://[^/?#:@]*:)[^/?#]*(?=@)")


def resolved(url: str, folder: Path) -> str:
    """Return the URL with its path, if it has one, in full: a relative one begins at `folder`."""
    local = _LOCAL.fullmatch(url)
    if not local or not local[2]:
        return url
    try:
        path = Path(local[2]).expanduser()
    except RuntimeError:  # a ~ and then nobody's name
        path = Path(local[2])
    return f"{local[1]}{folder / path}"


def beside(data_dir: Path, url: str) -> Path:
    """Return the folder for what belongs to a store other than the usual one, and does not live in it."""
    from hashlib import sha256

    return data_dir / "stores" / sha256(masked(url).encode(errors="surrogateescape")).hexdigest()[:16]


def masked(url: str) -> str:
    """Return the URL as it may be shown: without its password."""
    return _PASSWORD.sub(r"\1***", url)
