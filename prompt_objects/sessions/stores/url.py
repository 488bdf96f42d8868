"""`StoreUrl`: the URL of a store, and what is known of the store before it is opened."""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from prompt_objects.errors import UsageError
from prompt_objects.sessions.stores.base import Store, StoreOptions
from prompt_objects.utils.secrets import HIDDEN

_START = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?/*")
_PORT = re.compile(r":\d*(?=[/?#]|$)")
_NAMED_PASSWORD = re.compile(r"((?:^|[?&;\s])(?:ssl)?password\s*=\s*)[^&;\s]*", re.IGNORECASE)
_WITHOUT_PASSWORDS = ("files:", "sqlite:", "memory:")
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
    """Return the URL without its passwords; one with a typing error shows too little rather than too much."""
    if url.startswith(_WITHOUT_PASSWORDS):
        return url
    url = _NAMED_PASSWORD.sub(rf"\1{HIDDEN}", url)
    start = _START.match(url)
    head = start[0] if start else ""
    before, at, after = url[len(head) :].rpartition("@")  # the last one: a password may contain @ and /
    if at:
        user, colon, _ = before.partition(":")
        is_user = colon or head.endswith("//")
        return f"{head}{user}{colon}{HIDDEN if colon else ''}@{after}" if is_user else f"{head}{HIDDEN}@{after}"
    name, colon, rest = after.partition(":")
    is_secret = colon and "/" not in name and not after.startswith("[") and not _PORT.match(f":{rest}")
    return f"{head}{name}:{HIDDEN}" if is_secret else url
