"""All errors that callers see.

The message says what happened and where; `hint`, if there is one, gives the next step.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path  # slow to import


class PromptObjectsError(Exception):
    """Base class. The message says what happened; `hint`, which may be empty, gives the next step."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(PromptObjectsError):
    """A command or argument is invalid."""

    exit_code = 2


class FileError(PromptObjectsError):
    """A file that users write is invalid; lines and columns count from 1."""

    def __init__(
        self, problem: str, *, file: "Path", line: int | None = None, column: int | None = None, hint: str = ""
    ) -> None:
        self.problem, self.file, self.line, self.column = problem, file, line, column
        where = ":".join(str(part) for part in (file, line, column) if part is not None)
        super().__init__(f"{where}: {problem}", hint=hint)


class DefinitionError(FileError):
    """A prompt object's file is invalid; the other objects of the environment still load."""


class ConfigError(FileError):
    """environment.yaml is invalid."""


class NoEnvironment(PromptObjectsError):
    """There is no environment in the given folder."""

    exit_code = 2


class NewerEnvironment(PromptObjectsError):
    """A newer version of the program has written to the environment; nothing was changed."""

    exit_code = 2


class MigrationFailed(PromptObjectsError):
    """A migration step failed, and was rolled back."""


class OutOfResources(PromptObjectsError):
    """The system has run out of file descriptors or memory."""

    exit_code = 75


class NotFound(PromptObjectsError):
    """No object, session or command has that name."""

    exit_code = 2


class Ambiguous(NotFound):
    """Several things have that name; `candidates` lists them as they can be typed."""

    def __init__(self, message: str, *, candidates: Sequence[str], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.candidates = tuple(candidates)


class SessionError(PromptObjectsError):
    """Base class of errors about one session."""


class InvalidName(SessionError):
    """The text is not a valid session name."""

    exit_code = 2


class NameTaken(SessionError):
    """Another session of the same prompt object has that name; `suggestion` is free."""

    exit_code = 2

    def __init__(self, message: str, *, suggestion: str) -> None:
        super().__init__(message, hint=f"Try '{suggestion}'.")
        self.suggestion = suggestion


class Conflict(SessionError):
    """Another writer changed the session since it was last read here; nothing was written.

    Read the new messages with `Session.refresh()`, then append again.
    """


class Busy(SessionError):
    """A turn is running in the session; `holder` is the process that runs it. Wait, use a branch, or watch."""

    exit_code = 75

    def __init__(self, message: str, *, holder: Any, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.holder = holder


class SessionFull(SessionError):
    """The message would make the session larger than `max_session_size`; nothing was written."""


class Damaged(SessionError):
    """A session file cannot be read at all; it was not changed."""


class StoreError(PromptObjectsError):
    """A disk or database operation failed; acknowledged messages are safe."""


class NotSaved(StoreError):
    """A response arrived, but could not be saved: `reply` holds it, and the file `kept`, unless that failed, too."""

    def __init__(self, message: str, *, reply: Any, kept: "Path | None") -> None:
        where = f"The response is kept in {kept}." if kept else "It could not be kept anywhere else, either."
        hint = "Once the cause is removed, save it with: prompt-objects sessions recover (/session recover)"
        super().__init__(f"{message} {where}", hint=hint if kept else "Copy it from the screen.")
        self.reply, self.kept = reply, kept


class LLMError(PromptObjectsError):
    """The model did not respond."""


class Unauthorized(LLMError):
    """The key is missing, invalid, or not allowed to do this."""


class UnknownModel(LLMError):
    """The server does not have that model."""


class RegionNotSupported(LLMError):
    """The server does not offer the model in the user's region."""


class RateLimited(LLMError):
    """The server limits the rate of requests; `retry_after` is in seconds, None if the server did not give it."""

    exit_code = 75

    def __init__(self, message: str, *, retry_after: float | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Unreachable(LLMError):
    """No connection to the server, or no response in time."""

    exit_code = 75


class ContextTooLong(LLMError):
    """The conversation exceeds the model's context window."""


class ServerFailed(LLMError):
    """The server reported a failure; trying again later may help."""

    exit_code = 75


class StillLoading(ServerFailed):
    """The server is still loading its model; it will respond later."""


class BrokenStream(LLMError):
    """The response was incomplete or malformed; the text received so far is kept."""

    exit_code = 75


class LimitReached(PromptObjectsError):
    """One message used up a limit; `budget` is the `runtime.budget.Budget` that is used up."""

    def __init__(self, message: str, budget: object) -> None:
        super().__init__(message, hint="Limits are set in the definition, or in environment.yaml.")
        self.budget = budget


class Stopped(PromptObjectsError):
    """The user stopped one turn, but not its callers; the text received so far is kept."""


class ToolError(PromptObjectsError):
    """A tool call failed. The message is for the model, and says how to correct the call."""
