"""The five characters by which PostgreSQL names an error, and what those mean that pass."""

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

__all__ = [
    "CONCURRENT_DDL",
    "CONNECTION_LOST",
    "RETRYABLE",
    "state_of",
]

RETRYABLE = {"40001", "40P01"}  # two transactions were in each other's way; one of them may try again
CONNECTION_LOST = {"40003", "53300", "57P01", "57P02", "57P03"}  # no word of the outcome; too many; stopped; starting
CONCURRENT_DDL = {"23505", "42P07", "42710"}  # what is said to the second of two that make the same table


def state_of(error: SQLAlchemyError) -> str:
    """Return an error's state; of one that has none, the empty text."""
    return getattr(error.orig, "sqlstate", None) or "" if isinstance(error, DBAPIError) else ""
