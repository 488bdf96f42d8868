"""`check`: all findings about an environment."""

from collections.abc import Callable, Iterable
from typing import TypeAlias, get_args

from prompt_objects.analysis.finding import Finding, Severity
from prompt_objects.analysis.rules.allow import allowed_calls
from prompt_objects.analysis.rules.privileges import privilege_escalation
from prompt_objects.analysis.rules.settings import (
    ineffective_limits,
    unknown_and_unused_models,
    unknown_prices,
    unused_servers,
)
from prompt_objects.analysis.rules.structure import (
    delegation_cycles,
    invalid_definitions,
    missing_capabilities,
    unreachable_objects,
)
from prompt_objects.analysis.snapshot import EnvironmentSnapshot

Rule: TypeAlias = Callable[[EnvironmentSnapshot], Iterable[Finding]]
_RULES: tuple[Rule, ...] = (
    invalid_definitions,
    missing_capabilities,
    privilege_escalation,
    allowed_calls,
    delegation_cycles,
    unreachable_objects,
    ineffective_limits,
    unknown_prices,
    unknown_and_unused_models,
    unused_servers,
)
_SEVERITIES = get_args(Severity)


def check(snapshot: EnvironmentSnapshot) -> list[Finding]:
    """Run every rule; return errors first, then warnings, then notes, each in the order of files and lines."""
    found = [finding for rule in _RULES for finding in rule(snapshot)]
    return sorted(found, key=lambda each: (_SEVERITIES.index(each.severity), each.file, each.at))
