"""Settings of backups and of pruning."""

from typing import Annotated

from msgspec import Meta, Struct

_Days = Annotated[int, Meta(ge=1, le=36_500)]


class BackupSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Backups are made every `hours`; 0 means never automatically.

    At most `keep` backups of a session are kept, none older than `days` except the newest.
    """

    hours: Annotated[float, Meta(ge=0, le=876_000)] = 24
    keep: Annotated[int, Meta(ge=1, le=1_000_000)] = 10
    days: _Days = 90


class PruneSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Days after which pruning moves empty sessions to the trash, and deletes trash and logs.

    With `at_start`, every chat prunes in the background.
    """

    at_start: bool = False
    empty_days: _Days = 7
    trash_days: _Days = 30
    log_days: _Days = 30
