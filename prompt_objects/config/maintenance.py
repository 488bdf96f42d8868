"""How what is kept is backed up, and how what is old goes: the settings of both."""

from typing import Annotated

from msgspec import Meta, Struct

__all__ = [
    "BackupSettings",
    "PruneSettings",
]

_Days = Annotated[int, Meta(ge=1, le=36_500)]


class BackupSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Changed sessions are backed up every so many `hours`, 0 for never by itself.

    Of each session at most `keep` backups are kept, none older than `days`, but always the newest.
    """

    hours: Annotated[float, Meta(ge=0, le=876_000)] = 24
    keep: Annotated[int, Meta(ge=1, le=1_000_000)] = 10
    days: _Days = 90


class PruneSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """After how many days what goes: empty sessions into the trash, and what is in the trash, and logs, for good.

    With `at_start` it is done in the background of every chat.
    """

    at_start: bool = False
    empty_days: _Days = 7
    trash_days: _Days = 30
    log_days: _Days = 30
