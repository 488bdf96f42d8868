"""The present moment, and timestamps as they are stored."""

from datetime import UTC, datetime

import msgspec

__all__ = [
    "now",
    "timestamp",
]

_WRITE = msgspec.json.Encoder().encode
_MOMENT_LENGTH = 27


def now() -> datetime:
    """Return the present moment, in UTC."""
    return datetime.now(UTC)


def timestamp(moment: datetime | None = None) -> str:
    """Write a moment (by default the present one) as UTC ISO 8601, always 27 characters long."""
    written = _WRITE(moment.astimezone(UTC) if moment else now())[1:-1].decode()  # five times as fast as isoformat
    return written if len(written) == _MOMENT_LENGTH else f"{written[:-1]}.000000Z"
