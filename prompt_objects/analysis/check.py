"""`check`: all findings about an environment."""

from collections.abc import Callable, Iterable
from typing import TypeAlias, get_args

from prompt_objects.analysis.finding import Finding, Severity
from prompt_objects.analysis.rules.privileges import privilege_escalation
from prompt_objects.analysis.rules.settings import limits, models, prices, servers
from prompt_objects.analysis.rules.structure import broken, cycles, missing, unreachable
from prompt_objects.analysis.snapshot import EnvironmentSnapshot

Rule: TypeAlias = Callable[[EnvironmentSnapshot], Iterable[Finding]]
_RULES: tuple[Rule, ...] = (
    broken,
    missing,
    privilege_escalation,
    cycles,
    unreachable,
    limits,
    prices,
    models,
    servers,
)
_SEVERITIES = get_args(Severity)


def check(snapshot: EnvironmentSnapshot) -> list[Finding]:
    """Run every rule; return errors first, then warnings, then notes, each in the order of files and lines."""
    found = [finding for rule in _RULES for finding in rule(snapshot)]
    return sorted(found, key=lambda each: (_SEVERITIES.index(each.severity), each.file, each.at))
