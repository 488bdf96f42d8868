"""Finds out why a provider's cache did not help with a request: what changed since the last one, and what it cost.

A provider caches the longest known prefix of a request.
"""

from collections.abc import Iterable

from msgspec import Struct

from prompt_objects.errors import Damaged, NotFound
from prompt_objects.llm.base import Usage
from prompt_objects.message import Message
from prompt_objects.sessions.info import totals_of
from prompt_objects.sessions.request_diff import first_difference
from prompt_objects.sessions.requests import RequestRecord, answer_indexes, find_answer, record_of
from prompt_objects.sessions.session import Session

FIRST = "first request of the session"
NOT_RECORDED = "not recorded"


class CacheReport(Struct, frozen=True):
    """How far the cache helped with the request for one answer, counted from 1; `at` is the time of the answer.

    `change` is the first difference from the request before, empty if that was only extended. `lost_tokens` are those
    of the request before that were not read from the cache, and `lost_cost` is what they cost more, in US dollars;
    None if the server did not report the tokens, or if prices are unknown.
    """

    answer: int
    at: str
    change: str
    usage: Usage
    lost_tokens: int | None = None
    lost_cost: float | None = None


def cache_reports(session: Session, answers: Iterable[int] | None = None) -> list[CacheReport]:
    """Return a report for each of the answers, by default for all. Raises `NotFound` for an answer out of range."""
    numbers = range(1, len(answer_indexes(session.history)) + 1) if answers is None else answers
    return [_report(session, number) for number in numbers]


def _report(session: Session, number: int) -> CacheReport:
    answer = session.history[find_answer(session.history, number)]
    usage, at = _usage(answer), str(answer.get("at") or "")
    if number == 1:
        return CacheReport(number, at, FIRST, usage)
    before = session.history[find_answer(session.history, number - 1)]
    lost = _lost_tokens(_usage(before), usage)
    try:
        change = "" if not lost and _only_extends(before, answer) else _first_change(session, number)
        cost = _lost_cost(record_of(answer), usage, lost)
    except (NotFound, Damaged):
        return CacheReport(number, at, NOT_RECORDED, usage, lost)
    return CacheReport(number, at, change, usage, lost, cost)


def _usage(answer: Message) -> Usage:
    known = totals_of([answer])
    return Usage(known["prompt_tokens"], known["completion_tokens"], known["cached_tokens"], known["cost"])


def _first_change(session: Session, number: int) -> str:
    return first_difference(session.request(number - 1), session.request(number))


def _only_extends(before: Message, answer: Message) -> bool:
    """Return whether an answer's request certainly begins with the one before; much faster than comparing them."""
    old, new = record_of(before), record_of(answer)
    is_same = old.frame == new.frame and old.adaptations == new.adaptations
    return is_same and old.history < new.history and "replaces" not in answer


def _lost_tokens(before: Usage, usage: Usage) -> int | None:
    return max(0, before.prompt - usage.cached) if before.prompt and usage.prompt else None


def _lost_cost(record: RequestRecord, usage: Usage, lost: int | None) -> float | None:
    """Return the price of uncached tokens above that of cached ones, from the cost with and without the cache."""
    uncached = usage.prompt - usage.cached
    if lost is None or usage.cost is None or record.cost_if_cached is None:
        return None
    return (usage.cost - record.cost_if_cached) * lost / uncached if uncached > 0 else 0.0
