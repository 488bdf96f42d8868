"""Making an environment: the starter objects, copied into a folder."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

from prompt_objects.errors import StoreError, UsageError

__all__ = [
    "make_environment",
    "starter_objects",
]

_CONFIG = """\
# Settings of this environment; every line is optional. See docs/environment.md.
# default_object: coordinator
# model: gpt-5-mini               # or a key of `models`; or set OPENAI_API_KEY, OPENAI_BASE_URL
# models:
#   local: {model: llama3.2, base_url: "http://127.0.0.1:11434/v1"}
"""


def starter_objects() -> Path:
    """Return the folder with the starter objects: in a wheel inside the package, in a checkout beside it."""
    package = Path(__file__).parent.parent
    shipped = package / "_data" / "objects"
    return shipped if shipped.is_dir() else package.parent / "objects"


def make_environment(folder: Path) -> list[Path]:
    """Make an environment in `folder`, which may exist; return the files that were written.

    Raises `UsageError` where there is one already, and `StoreError` where the disk refuses. The objects appear all
    at once, so that two makers cannot mix theirs and a killed one leaves nothing half-made.
    """
    objects, config = folder / "objects", folder / "environment.yaml"
    if objects.exists() or config.exists():
        raise UsageError(f"{folder} is an environment already.", hint=f"Open it with --env {folder}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".objects-", dir=folder))
        try:
            for source in sorted(starter_objects().glob("*.yaml")):
                shutil.copyfile(source, draft / source.name)
            draft.chmod(0o755)
            draft.rename(objects)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w") as file:
            file.write(_CONFIG)
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ENOTEMPTY}:
            raise UsageError(f"{folder} was just made an environment by someone else.") from error
        raise StoreError(f"No environment can be made in {folder}: {error.strerror}.") from error
    return [*sorted(objects.iterdir()), config]
