"""All that there is to find in an environment, the gravest first."""

from collections.abc import Callable, Iterable
from typing import get_args

from prompt_objects.graph.authority import authority
from prompt_objects.graph.finding import Finding, Severity
from prompt_objects.graph.settings import limits, models, prices, servers
from prompt_objects.graph.structure import broken, circles, missing, unreachable
from prompt_objects.graph.survey import Survey

__all__ = ["check"]

_CHECKS: tuple[Callable[[Survey], Iterable[Finding]], ...] = (
    broken,
    missing,
    authority,
    circles,
    unreachable,
    limits,
    prices,
    models,
    servers,
)
_SEVERITIES = get_args(Severity)


def check(survey: Survey) -> list[Finding]:
    """Make every check; errors come first, then warnings, then notes, each in the order of files and lines."""
    found = [finding for each in _CHECKS for finding in each(survey)]
    return sorted(found, key=lambda each: (_SEVERITIES.index(each.severity), each.file, each.at))
