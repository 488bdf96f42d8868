"""The user's trust in environments: which of their grants the user has accepted.

The decisions are stored outside all environments, by the real path of the folder. They are valid for exactly the
accepted grants; if one of them changes, the user decides again.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from prompt_objects.environment.locate import personal_folder
from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.user_folders import state_folder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prompt_objects.environment.grants import Grant

VARIABLE = "PROMPT_OBJECTS_TRUST"


class Decision(Struct, frozen=True):
    """The decision of the user about an environment: its accepted or refused grants, digests by text.

    `everything` is true for an environment that the user has created, or trusts whatever it brings.
    """

    accepted: bool
    grants: Mapping[str, str] = {}
    everything: bool = False

    def covers(self, grants: "Iterable[Grant]") -> bool:
        """Return whether the user has accepted all of these grants."""
        return self.everything or all(self.accepted and self.grants.get(each.text) == each.digest for each in grants)

    def is_about(self, grants: "Iterable[Grant]") -> bool:
        """Return whether the decision was made about exactly these grants."""
        return self.everything or dict(self.grants) == {each.text: each.digest for each in grants}

    def changes(self, grants: "Iterable[Grant]") -> Iterator[str]:
        """Yield a line for each grant, marked if it was not there, or differed, at the time of the decision."""
        now = {each.text: each.digest for each in grants}
        for text, digest in now.items():
            mark = "new" if text not in self.grants else "changed" if self.grants[text] != digest else ""
            yield f"{text} ({mark})" if mark and self.grants else text
        yield from (f"{text} (removed)" for text in self.grants if text not in now)


UNDECIDED = Decision(accepted=False)
EVERYTHING = Decision(accepted=True, everything=True)


class Trust:
    """The decisions of the user, in a file outside all environments.

    A damaged file trusts nothing; the next decision renames it to `.corrupt`.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    @classmethod
    def of_user(cls) -> "Trust":
        return cls(state_folder() / "trusted.json")

    def decision(self, folder: Path) -> Decision:
        """Return the decision about an environment; PROMPT_OBJECTS_TRUST and the personal environment are trusted."""
        real = Path(os.path.realpath(folder))
        if any(real.is_relative_to(os.path.realpath(each)) for each in _trusted_folders()):
            return EVERYTHING
        known = self._known().get(str(real))
        if known is None and real == Path(os.path.realpath(personal_folder())):
            return EVERYTHING
        return _decode(known)

    def accept(self, folder: Path, grants: "Iterable[Grant]") -> None:
        """Accept grants, in place of those accepted before. Raises `StoreError`."""
        self._decide(folder, {"accepted": {each.text: each.digest for each in grants}})

    def refuse(self, folder: Path, grants: "Iterable[Grant]" = ()) -> None:
        """Refuse grants, so that the user is not asked about them again; end all trust in the environment."""
        self._decide(folder, {"refused": {each.text: each.digest for each in grants}})

    def add_created(self, folder: Path) -> None:
        """Trust an environment that the user creates, whatever it contains later."""
        self._decide(folder, {"created": True})

    def _decide(self, folder: Path, decision: Mapping[str, Any]) -> None:
        with self._changing() as known:
            known[os.path.realpath(folder)] = decision

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        disk.make_folder(self._file.parent)
        with disk.locked_file(self._file.with_suffix(".lock")), disk.store_errors("written", self._file):
            known = self._known()
            if not known and self._file.exists():  # it is damaged, or empty
                self._file.replace(self._file.with_suffix(".json.corrupt"))
            yield known
            disk.replace_file(self._file, [json.dumps(known, indent=1).encode()])

    def _known(self) -> dict[str, Any]:
        try:
            known = json.loads(disk.read_file(self._file))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}


def _decode(known: object) -> Decision:
    if not isinstance(known, dict):
        return UNDECIDED
    if known.get("created") is True:
        return EVERYTHING
    is_accepted = "accepted" in known
    grants = known.get("accepted" if is_accepted else "refused")
    return Decision(is_accepted, grants if isinstance(grants, dict) else {})


def _trusted_folders() -> Iterator[str]:
    """Yield the folders of PROMPT_OBJECTS_TRUST, which trusts each of them and everything below.

    Relative paths are ignored: they would trust any folder that happens to be the current one.
    """
    for name in os.environ.get(VARIABLE, "").split(os.pathsep):
        folder = os.path.expanduser(name)  # noqa: PTH111 - it does not raise
        if Path(folder).is_absolute():
            yield folder
