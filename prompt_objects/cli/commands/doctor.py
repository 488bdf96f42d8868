"""`prompt-objects doctor`: whether all is well with what an environment keeps."""

from argparse import Namespace
from collections.abc import Iterator, Sequence

from prompt_objects.cli.json_output import examination_fields
from prompt_objects.cli.streams import print_err, print_out, put_as_json
from prompt_objects.cli.targets import open_environment
from prompt_objects.sessions.info import StoreIssue
from prompt_objects.sessions.stores.base import Checking
from prompt_objects.ui.render.sanitize import clean_line
from prompt_objects.utils.text import pluralize

__all__ = [
    "run",
]


def run(options: Namespace) -> int:
    """Look through the sessions and the definitions, or put right what is wrong; 1 where something wrong remains."""
    with open_environment(options) as environment:
        store = environment.storage.store
        findings = store.check(repair=options.repair) if isinstance(store, Checking) else []
        sessions = len(environment.storage.store.list()) if options.repair or not findings else None
        faults = [str(fault) for fault in environment.catalog.errors()]
        for notice in environment.storage.take_notices():
            print_err(notice)
    if options.json:
        put_as_json(examination_fields(findings, faults))
    else:
        for line in (*_lines(findings), *faults, _verdict(findings, faults, sessions, repair=options.repair)):
            print_out(clean_line(line))
    return int(bool(faults) or any(not finding.repaired for finding in findings))


def _lines(findings: Sequence[StoreIssue]) -> Iterator[str]:
    for finding in findings:
        yield f"{finding.place}: {finding.problem} {'Done:' if finding.repaired else 'To do:'} {finding.remedy}"


def _verdict(findings: Sequence[StoreIssue], faults: Sequence[str], sessions: int | None, *, repair: bool) -> str:
    looked = f"Looked at {pluralize(sessions, 'session')}: " if sessions is not None else ""
    if not findings and not faults:
        return f"{looked}all is well."
    left = sum(not finding.repaired for finding in findings)
    parts = [f"{pluralize(len(findings), 'thing')} found"] if findings else []
    parts += [f"{len(findings) - left} put right"] if repair and findings else []
    parts += [pluralize(len(faults), "faulty definition")] if faults else []
    told = f"{looked}{', '.join(parts)}."
    return told if repair or not left else f"{told} Put it right, and lose nothing: prompt-objects doctor --repair"
