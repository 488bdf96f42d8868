"""Creates an environment with the starter objects."""

import errno
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from prompt_objects.environment.locate import is_environment
from prompt_objects.environment.trust import Trust
from prompt_objects.errors import StoreError, UsageError

_CONFIG = """\
# Settings of this environment; every line is optional. The page environment.yaml of the documentation lists all.
# default_object: coordinator
# model: claude                   # a key of `models`, or a model ID; or set a key such as OPENAI_API_KEY
# models:
#   claude: {provider: anthropic}
#   local: {model: llama3.2, base_url: "http://127.0.0.1:11434/v1"}
"""


def starter_objects() -> Path:
    """Return the folder of the starter objects: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parent.parent
    shipped = package / "_data" / "objects"
    return shipped if shipped.is_dir() else package.parent / "objects"


def make_environment(folder: Path) -> list[Path]:
    """Create an environment in `folder`, which may exist; return the files that were written.

    Raises `UsageError` if it is already an environment, and `StoreError` if the disk reports an error. The objects
    appear in one step, so two processes cannot mix theirs, and a killed one leaves nothing incomplete.
    """
    objects, config = folder / "objects", folder / "environment.yaml"
    if is_environment(folder):
        raise UsageError(f"{folder} is already an environment.", hint=f"Open it with --env {folder}")
    if objects.exists():
        problem = f"{objects} exists, and has no definitions of prompt objects."
        raise UsageError(problem, hint="Create the environment in another folder.")
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
        with suppress(StoreError):  # then the user is asked at the first use
            Trust.of_user().add_created(folder)
        if config.exists():  # of another program, such as conda
            return sorted(objects.iterdir())
        with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w") as file:
            file.write(_CONFIG)
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ENOTEMPTY}:
            raise UsageError(f"Another process has just created an environment in {folder}.") from error
        raise StoreError(f"The environment cannot be created in {folder}: {error.strerror}.") from error
    return [*sorted(objects.iterdir()), config]
