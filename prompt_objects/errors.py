"""Every error that the package raises on purpose.

PromptObjectsError
├── UsageError                what was typed cannot be carried out as typed
├── FileError                 a file that people write is wrong: has file, line, column
│   ├── DefinitionError       a prompt object's file
│   └── ConfigError           environment.yaml
├── NoEnvironment             there is no environment where one was looked for
├── NewerEnvironment          a newer version of the program has written in it
├── MigrationFailed           a step that brings an environment up to date did not work; everything is as it was
├── NotFound                  no object, session or command answers to that name; has the nearest one
│   └── Ambiguous             several answer to it; has the candidates
├── SessionError
│   ├── InvalidName           a session cannot be called that
│   ├── NameTaken             another session of the same prompt object is called that; has a suggestion
│   ├── Conflict              another writer added messages in between; nothing was written
│   ├── Busy                  a turn is going on in the session; has its holder
│   ├── SessionFull           the message would make the session larger than is allowed; nothing was written
│   └── Damaged               a session file that cannot be understood at all
├── StoreError                the disk, or what serves as one, refused
├── LLMError                  the model did not answer; temporary ones may be tried again later
│   ├── Unauthorized          the key is missing, wrong, or not allowed to do this
│   ├── UnknownModel
│   ├── RateLimited           has retry_after
│   ├── Unreachable           no connection, or none in time
│   ├── ContextTooLong
│   ├── ServerFailed          the server said that it failed
│   └── BrokenStream          the answer broke off, or made no sense
├── LimitReached              one message took all that it may; has the budget
├── Stopped                   a person stopped one turn, and not those above it
└── ToolError                 a tool could not do what it was asked; the model reads it, not the person

The message says what happened and where; `hint`, if there is one, says what to do next.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "Ambiguous",
    "BrokenStream",
    "Busy",
    "ConfigError",
    "Conflict",
    "ContextTooLong",
    "Damaged",
    "DefinitionError",
    "FileError",
    "InvalidName",
    "LLMError",
    "LimitReached",
    "MigrationFailed",
    "NameTaken",
    "NewerEnvironment",
    "NoEnvironment",
    "NotFound",
    "PromptObjectsError",
    "RateLimited",
    "ServerFailed",
    "SessionError",
    "SessionFull",
    "Stopped",
    "StoreError",
    "ToolError",
    "Unauthorized",
    "UnknownModel",
    "Unreachable",
    "UsageError",
]


class PromptObjectsError(Exception):
    """What happened, in one sentence; `hint` says what to do next, and may be empty."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(PromptObjectsError):
    """What was typed cannot be carried out as typed."""

    exit_code = 2


class FileError(PromptObjectsError):
    """A file that people write is wrong; lines and columns count from 1, as editors do."""

    def __init__(
        self, problem: str, *, file: Path, line: int | None = None, column: int | None = None, hint: str = ""
    ) -> None:
        self.problem, self.file, self.line, self.column = problem, file, line, column
        where = ":".join(str(part) for part in (file, line, column) if part is not None)
        super().__init__(f"{where}: {problem}", hint=hint)


class DefinitionError(FileError):
    """A prompt object's file is wrong; the other objects of the environment still load."""


class ConfigError(FileError):
    """environment.yaml is wrong."""


class NoEnvironment(PromptObjectsError):
    """There is no environment where one was looked for."""

    exit_code = 2


class NewerEnvironment(PromptObjectsError):
    """A newer version of the program has written in the environment; nothing was touched."""

    exit_code = 2


class MigrationFailed(PromptObjectsError):
    """A step that brings an environment up to date did not work; everything is as it was before."""


class NotFound(PromptObjectsError):
    """No object, session or command answers to that name."""

    exit_code = 2


class Ambiguous(NotFound):
    """Several things answer to that name; `candidates` lists them as they may be typed."""

    def __init__(self, message: str, *, candidates: Sequence[str], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.candidates = tuple(candidates)


class SessionError(PromptObjectsError):
    """Something about a session stands in the way."""


class InvalidName(SessionError):
    """A session cannot be called that."""

    exit_code = 2


class NameTaken(SessionError):
    """Another session of the same prompt object is called that; `suggestion` is free."""

    exit_code = 2

    def __init__(self, message: str, *, suggestion: str) -> None:
        super().__init__(message, hint=f"Try {suggestion!r}.")
        self.suggestion = suggestion


class Conflict(SessionError):
    """Another writer changed the session since it was last read here; nothing was written.

    Read what came with `Session.refresh()`, then append again.
    """


class Busy(SessionError):
    """A turn is going on in the session; `holder` says whose. Wait, go on in a branch, or look on."""

    exit_code = 75

    def __init__(self, message: str, *, holder: Any, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.holder = holder


class SessionFull(SessionError):
    """The message would make the session larger than `max_session_size`; nothing was written."""


class Damaged(SessionError):
    """A session file that cannot be understood at all; it is left as it is."""


class StoreError(PromptObjectsError):
    """The disk, or what serves as one, refused; what had been acknowledged before is safe."""


class LLMError(PromptObjectsError):
    """The model did not answer."""


class Unauthorized(LLMError):
    """The key is missing, wrong, or not allowed to do this."""


class UnknownModel(LLMError):
    """The server does not have that model."""


class RateLimited(LLMError):
    """The server asks for patience; `retry_after` is in seconds, or None when it did not say."""

    exit_code = 75

    def __init__(self, message: str, *, retry_after: float | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Unreachable(LLMError):
    """No connection to the server, or no answer in time."""

    exit_code = 75


class ContextTooLong(LLMError):
    """The conversation is longer than the model can read."""


class ServerFailed(LLMError):
    """The server said that it failed; trying again later may help."""

    exit_code = 75


class BrokenStream(LLMError):
    """The answer broke off, or made no sense; what had come of it is kept."""

    exit_code = 75


class LimitReached(PromptObjectsError):
    """One message took all that it may; `budget` is the one that is used up, a `budget.Budget`."""

    def __init__(self, message: str, budget: object) -> None:
        super().__init__(message, hint="Limits are set in the definition, or in environment.yaml.")
        self.budget = budget


class Stopped(PromptObjectsError):
    """A person stopped one turn, and not those above it; what had been said in it is kept."""


class ToolError(PromptObjectsError):
    """A tool could not do what it was asked. The model reads this message, so it says what would work."""
