"""The current time, and timestamps as they are stored."""

from datetime import UTC, datetime

import msgspec

_ENCODE = msgspec.json.Encoder().encode
_LENGTH = 27


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def timestamp(moment: datetime | None = None) -> str:
    """Return a time, by default the current one, as UTC ISO 8601 with microseconds: always 27 characters."""
    text = _ENCODE(moment.astimezone(UTC) if moment else now())[1:-1].decode()  # five times as fast as isoformat
    return text if len(text) == _LENGTH else f"{text[:-1]}.000000Z"
