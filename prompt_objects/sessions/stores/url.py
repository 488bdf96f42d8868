"""`StoreUrl`: the URL of a store, and what is known of the store before it is opened."""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from prompt_objects.errors import UsageError
from prompt_objects.sessions.stores.base import Store, StoreOptions

_PASSWORD = re.compile(r"((?:^|:)//[^/?#:]*:).*(?=@)", re.DOTALL)  # to the last @: a password may contain @ and /
_NAMED_PASSWORD = re.compile(r"([?&](?:ssl)?password=)[^&]*", re.IGNORECASE)
_PATH = "PATH"


class StoreUrl(ABC):
    """The URL of a store. A subclass declares one kind of store.

    `form` shows the URLs of the kind. If it ends with PATH, they end with the path of a file or folder, which is
    absolute in `text`; a relative one starts at `folder`. `is_ephemeral` says whether the sessions are lost at the
    end of the program. Raises `UsageError` if the path starts with the home of an unknown user.
    """

    form: ClassVar[str] = ""
    is_ephemeral: ClassVar[bool] = False

    def __init__(self, text: str, folder: Path = Path()) -> None:
        self.text = text
        self.path: Path | None = None
        prefix = self.form.removesuffix(_PATH)
        if self.form.endswith(_PATH) and text.startswith(prefix) and text != prefix:
            self.path = folder / _expand_home(text.removeprefix(prefix))
            self.text = f"{prefix}{self.path}"

    @abstractmethod
    def open(self, options: StoreOptions) -> Store:
        """Open the store. Raises `UsageError` if the URL does not name one."""

    @property
    def location(self) -> Path | None:
        """The file or folder that exists if the store does; None if it is not on this disk."""
        return self.path

    @property
    def data_paths(self) -> Sequence[Path]:
        """All files and folders with data of the store, which the file tools must not touch."""
        return (self.location,) if self.location else ()


def _expand_home(text: str) -> Path:
    user, slash, rest = text.partition("/")
    if not user.startswith("~") or "\0" in user:
        return Path(text)
    home = os.path.expanduser(user)  # noqa: PTH111 - it does not raise
    if home == user:
        raise UsageError(f"{text!r} starts with an unknown user's home folder.", hint="Write the path in full.")
    return Path(f"{home}{slash}{rest}")


def mask_passwords(url: str) -> str:
    """Return the URL without its passwords."""
    return _PASSWORD.sub(r"\1***", _NAMED_PASSWORD.sub(r"\1***", url))
