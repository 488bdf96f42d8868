"""What `--json` prints: these keys are documented and stay, whatever becomes of the structs behind them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec.structs import asdict

from prompt_objects.utils.time import timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from prompt_objects.analysis.finding import Finding as CheckFinding
    from prompt_objects.analysis.snapshot import EnvironmentSnapshot
    from prompt_objects.analysis.worst_case import WorstCase
    from prompt_objects.environment.environment import PromptObject
    from prompt_objects.migrations.apply import StepResult
    from prompt_objects.sessions.backups import Backup, BackupReport
    from prompt_objects.sessions.info import SessionInfo, StoreIssue, TrashedSession
    from prompt_objects.sessions.prune import Pruned
    from prompt_objects.sessions.session import SessionChange
    from prompt_objects.sessions.store_copy import CopyResult
    from prompt_objects.sessions.undo import UndoResult
    from prompt_objects.turns.turn import Reply

__all__ = [
    "MEANINGS",
    "backup_fields",
    "change_fields",
    "check_fields",
    "copied_fields",
    "examination_fields",
    "migration_fields",
    "object_fields",
    "pruned_fields",
    "reply_fields",
    "report_fields",
    "session_fields",
    "trashed_fields",
    "undone_fields",
]

# For docs/commands.md: by what is printed, each key with its type and meaning.
MEANINGS: Mapping[str, Mapping[str, str]] = {
    "An answer (`-p --json`)": {
        "object": "text: the prompt object that answered",
        "session": "object: `id` and `name` of the session",
        "model": "text: the model that answered",
        "text": "text: the answer",
        "usage": "object: `prompt_tokens`, `completion_tokens`, `cached_tokens`; numbers, of this answer",
    },
    "A session (`sessions … --json`)": {
        "id": "text: a UUID that stays the same for ever",
        "name": "text: unique among the sessions of its prompt object",
        "po_name": "text: its prompt object",
        "message_count": "number",
        "created_at": "text: ISO 8601, UTC",
        "updated_at": "text: ISO 8601, UTC; when the last message came",
        "user_id": "text or null: whose it is, where an environment has several users",
        "parent": "object or null: `session` and `call` that started it, where a prompt object did",
        "tags": "list of texts",
        "prompt_tokens": "number: the sum over its messages",
        "completion_tokens": "number: the sum over its messages",
        "cached_tokens": "number: the sum over its messages",
        "cost": "number or null: US dollars; null where nothing is known of prices",
        "archived": "boolean: whether it is kept compressed until its next message",
    },
    "A session in the trash (`sessions trash --json`), besides": {
        "deleted_at": "text: ISO 8601, UTC",
    },
    "What was undone (`sessions undo --json`)": {
        "operation": "text: `rename`, `clear`, `truncate` or `delete`",
        "session": "object: the session as it is again",
    },
    "What is seen (`sessions watch --json`), an object a line": {
        "event": "text: `message`, `begun` or `ended` (a turn of whoever is at the session)",
        "number": "number: of a message, the first one being 1",
        "message": "object: a message, as it is stored",
        "holder": "object: who began: `user`, `process`, `host`, `since` (ISO 8601, UTC)",
    },
    "A backup (`sessions backups --json`)": {
        "file": "text: its path",
        "session": "text: the id of the session",
        "name": "text or null: the name of the session; null where it is neither there nor in the trash",
        "updated_at": "text: ISO 8601, UTC; when the last message in it came",
        "message_count": "number",
    },
    "What was backed up (`sessions backup --json`)": {
        "saved": "list of texts: the files that were written",
        "removed": "list of texts: the files that were beyond number or age",
        "failures": "list of texts: which sessions could not be backed up, and why",
    },
    "What was pruned (`sessions prune --json`)": {
        "dry_run": "boolean: whether it was only said what would go",
        "empty": "list of sessions: those without a message, which went to the trash",
        "trashed": "list of sessions in the trash: those that are gone for good",
        "logs": "list of texts: the files that were removed",
        "backups": "list of texts: the files that were removed",
    },
    "What was copied (`sessions copy --json`)": {
        "from": "text: the URL, without its password",
        "to": "text: the same",
        "counts": "object: how many sessions were `copied`, `completed`, `same`, `different`, `damaged`",
        "sessions": "list of objects: `id`, `name`, `po_name`, `outcome` (one of these words), `in_trash` (boolean), "
        "`renamed` (text or null: the name in the target, where that is another one)",
    },
    "A trace (`trace --json`)": {
        "session": "object: the session, as above",
        "turns": "list of objects, in the order in which they began: see [trace.md](trace.md#json)",
        "own": "object: what these turns took, `answers`, `prompt_tokens`, `completion_tokens`, `cached_tokens` "
        "(numbers), `cost` (number or null)",
        "inclusive": "object: the same, with all turns below them",
    },
    "What an examination found (`doctor --json`)": {
        "findings": "list of objects: `place`, `problem`, `remedy` (what repairing does about it), "
        "`session_id` (text or null), `repaired` (boolean)",
        "faults": "list of texts: what is wrong with definitions",
    },
    "What a check found (`check --json`)": {
        "root": "text or null: the prompt object that opens where none was used before",
        "objects": "list of objects: `name`, `file` (text or null: the path of a definition that can be read), "
        "`asks`, `tools`, `servers` (lists of names), `requests`, `at_once` (numbers or null: the most requests to "
        "models that one message leads to, and the most turns at the same time), `exact` (boolean: whether "
        "there can be so many turns)",
        "tools": "list of objects: `name`, `effect` (`read`, `write`, `execute` or `network`), `used_by` (names)",
        "findings": "list of objects, the gravest first: `severity` (`error`, `warning` or `note`), `kind` (a word "
        "of [check.md](check.md)), `file`, `line`, `column`, `text`, `path` (names, from one who asks to the last)",
    },
    "What was brought up to date (`migrate --json`)": {
        "dry_run": "boolean: whether it was only said what would be done",
        "steps": "list of objects: `number`, `name`, `summary`, `backup` (text or null: its folder), `changes`",
        "steps[].changes": "list of objects: `object`, `file`, `sessions`, `messages`, `set_aside` (numbers), "
        "`changed` (boolean: the file), `problem` (text, empty unless it was left as it is)",
    },
    "A prompt object (`objects list --json`)": {
        "name": "text",
        "description": "text, may be empty; null where it is faulty",
        "model": "text or null: the model that it asks for; null for the environment's default",
        "capabilities": "list of names; null where it is faulty",
        "file": "text: the path of its definition",
        "fault": "text or null: what is wrong with its definition",
    },
    "A prompt object by itself (`objects show --json`), besides": {
        "prompt": "text: what the model is told",
    },
}


def session_fields(info: "SessionInfo") -> dict[str, object]:
    """Build what is printed of a session."""
    parent = info.parent
    return {
        "id": info.id,
        "name": info.name,
        "po_name": info.po_name,
        "message_count": info.message_count,
        "created_at": timestamp(info.created_at),
        "updated_at": timestamp(info.updated_at),
        "user_id": info.user_id,
        "parent": {"session": parent.session, "call": parent.call} if parent else None,
        "tags": list(info.tags),
        "prompt_tokens": info.prompt_tokens,
        "completion_tokens": info.completion_tokens,
        "cached_tokens": info.cached_tokens,
        "cost": info.cost,
        "archived": info.archived,
    }


def trashed_fields(trashed: "TrashedSession") -> dict[str, object]:
    """Build what is printed of a session in the trash."""
    return {**session_fields(trashed.info), "deleted_at": timestamp(trashed.deleted_at)}


def undone_fields(undone: "UndoResult") -> dict[str, object]:
    """Build what is printed of what was undone."""
    return {"operation": undone.operation, "session": session_fields(undone.record.info)}


def change_fields(change: "SessionChange") -> "Iterator[dict[str, object]]":
    """Build what is printed of what was seen of a session, line by line."""
    if change.is_new_holder and change.holder:
        holder = change.holder
        fields = {"user": holder.user, "process": holder.pid, "host": holder.host, "since": timestamp(holder.since)}
        yield {"event": "begun", "holder": fields}
    for number, message in enumerate(change.messages, change.number):
        yield {"event": "message", "number": number, "message": message}
    if change.is_new_holder and not change.holder:
        yield {"event": "ended"}


def backup_fields(backup: "Backup", name: str | None) -> dict[str, object]:
    """Build what is printed of a backup of the session that is called `name`."""
    return {
        "file": str(backup.path),
        "session": backup.session_id,
        "name": name,
        "updated_at": timestamp(backup.updated_at),
        "message_count": backup.message_count,
    }


def report_fields(report: "BackupReport") -> dict[str, object]:
    """Build what is printed of a run of the backups."""
    return {
        "saved": [str(path) for path in report.saved],
        "removed": [str(path) for path in report.removed],
        "failures": list(report.failures),
    }


def pruned_fields(pruned: "Pruned", *, dry_run: bool) -> dict[str, object]:
    """Build what is printed of pruning."""
    return {
        "dry_run": dry_run,
        "empty": [session_fields(info) for info in pruned.empty],
        "trashed": [trashed_fields(trashed) for trashed in pruned.trashed],
        "logs": [str(path) for path in pruned.logs],
        "backups": [str(path) for path in pruned.backups],
    }


def copied_fields(copied: "Sequence[CopyResult]", source: str, target: str) -> dict[str, object]:
    """Build what is printed of a copying between two stores, whose URLs may be shown."""
    from prompt_objects.sessions.store_copy import count_outcomes

    return {
        "from": source,
        "to": target,
        "counts": count_outcomes(copied),
        "sessions": [
            {
                "id": each.id,
                "name": each.name,
                "po_name": each.po_name,
                "outcome": each.outcome,
                "in_trash": each.in_trash,
                "renamed": each.renamed,
            }
            for each in copied
        ],
    }


def examination_fields(findings: "Iterable[StoreIssue]", faults: "Sequence[str]") -> dict[str, object]:
    """Build what is printed of an examination."""
    return {"findings": [asdict(finding) for finding in findings], "faults": list(faults)}


def check_fields(
    survey: "EnvironmentSnapshot", findings: "Iterable[CheckFinding]", costs: "Mapping[str, WorstCase]"
) -> dict[str, object]:
    """Build what is printed of a check."""
    graph = survey.graph
    objects = [
        {
            "name": name,
            "file": str(graph.definitions[name].file) if name in graph.definitions else None,
            "asks": list(graph.delegates(name)),
            "tools": [link.target for link in graph.uses(name) if link.kind == "tool"],
            "servers": [link.target for link in graph.uses(name) if link.kind == "server"],
            "requests": costs[name].requests if name in costs else None,
            "at_once": costs[name].at_once if name in costs else None,
            "exact": name in costs and costs[name].exact,
        }
        for name in graph.objects
    ]
    tools = [
        {
            "name": name,
            "effect": graph.tools[name].effect,
            "used_by": [link.owner for link in graph.edges if (link.kind, link.target) == ("tool", name)],
        }
        for name in sorted(graph.tools)
    ]
    found = [
        {
            "severity": finding.severity,
            "kind": finding.kind,
            "file": str(finding.file),
            "line": finding.at.line,
            "column": finding.at.column,
            "text": finding.text,
            "path": list(finding.path),
        }
        for finding in findings
    ]
    return {"root": survey.root, "objects": objects, "tools": tools, "findings": found}


def migration_fields(steps: "Iterable[StepResult]", *, dry_run: bool) -> dict[str, object]:
    """Build what is printed of a migration."""
    taken = [
        {
            "number": each.step.number,
            "name": each.step.name,
            "summary": each.summary,
            "backup": str(each.backup) if each.backup else None,
            "changes": [asdict(row) for row in each.rows],
        }
        for each in steps
    ]
    return {"dry_run": dry_run, "steps": taken}


def object_fields(po: "PromptObject") -> dict[str, object]:
    """Build what is printed of a prompt object, sound or faulty."""
    if fault := po.fault:
        return {
            "name": po.name,
            "description": None,
            "model": None,
            "capabilities": None,
            "file": str(fault.file),
            "fault": str(fault),
        }
    definition = po.definition
    return {
        "name": po.name,
        "description": definition.description,
        "model": definition.model.use if definition.model else None,
        "capabilities": [capability.name for capability in definition.capabilities],
        "file": str(definition.file),
        "fault": None,
    }


def reply_fields(reply: "Reply", po_name: str) -> dict[str, object]:
    """Build what is printed of an answer."""
    return {
        "object": po_name,
        "session": {"id": reply.session.id, "name": reply.session.name},
        "model": reply.model,
        "text": reply.text,
        "usage": {
            "prompt_tokens": reply.usage.prompt,
            "completion_tokens": reply.usage.completion,
            "cached_tokens": reply.usage.cached,
        },
    }
