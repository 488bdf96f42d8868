"""The authority of an environment: its grants that the user has accepted."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_objects.config.environment import DATA_DIR, Config, load_config, read_config_document
from prompt_objects.config.settings import load_settings
from prompt_objects.environment.trust import EVERYTHING, UNDECIDED, Decision, Trust
from prompt_objects.errors import PromptObjectsError, StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prompt_objects.config.definition import Definition
    from prompt_objects.config.environment_schema import ServerConfig
    from prompt_objects.config.yaml.document import YamlDocument
    from prompt_objects.environment.grants import Grant


class Authority:
    """The accepted grants of an environment, compared with the present files whenever something of them takes effect.

    It is restricted if the user has not accepted all of its `grants`: then none of them takes effect.
    """

    def __init__(self, folder: Path, decision: Decision, grants: "Sequence[Grant]" = (), problem: str = "") -> None:
        self.grants = grants
        self.is_restricted = bool(problem) or not decision.covers(grants)
        self._problem = problem
        self._folder = folder
        self._decision = UNDECIDED if self.is_restricted else decision
        self._own_models: frozenset[str] | None = None  # the user's; None if all may be used

    @classmethod
    def of_user(cls, folder: Path, document: "YamlDocument | None", *, trust: bool = False) -> "Authority":
        """Return what the user has decided about an environment; `trust` accepts everything for this run."""
        decision = EVERYTHING if trust else Trust.of_user().decision(folder)
        if decision.everything:
            return cls(folder, decision)
        from prompt_objects.environment.review import review

        try:
            return cls(folder, decision, review(folder, document and document.data))
        except (StoreError, UsageError) as error:
            return cls(folder, decision, problem=f"{error} {error.hint}".rstrip())

    @property
    def notice(self) -> str:
        """A line for the user about a restricted environment; empty if it is not restricted."""
        if not self.is_restricted:
            return ""
        reason = f"it cannot be trusted: {self._problem}" if self._problem else "you have not trusted it."
        return f"{self._folder} is restricted, because {reason} To see what it would do: prompt-objects trust"

    def apply(self, document: "YamlDocument | None", environ: Mapping[str, str]) -> None:
        """Remove the settings that are not accepted. Raises `UsageError` if the data folder is a link."""
        if self.is_restricted:
            if (self._folder / DATA_DIR).is_symlink():
                problem = f"{self._folder / DATA_DIR} is a link, and you have not trusted this environment."
                raise UsageError(problem, hint="To see where it leads: prompt-objects trust")
            from prompt_objects.environment.settings_grants import remove_grants

            self._own_models = frozenset(load_settings(environ).get("models", {}))
            if document:
                remove_grants(document.data, self._folder)

    def allows_tools(self, files: Mapping[Path, bytes]) -> bool:
        from prompt_objects.environment.review import tool_grants

        return self._decision.covers(tool_grants(files))

    def allows_servers(self, servers: "Mapping[str, ServerConfig]") -> bool:
        """Return whether MCP servers may start; False if their files cannot be read."""
        from prompt_objects.environment.review import file_grants

        try:
            return not self.is_restricted and self._decision.covers(file_grants(self._folder, servers))
        except PromptObjectsError:
            return False

    def restrict(self, definition: "Definition") -> "Definition":
        """Return a definition without its grants, unless they are accepted; if restricted, only with own models."""
        if self._decision.everything:
            return definition
        from prompt_objects.environment.grants import definition_grants, restrict

        if self._decision.covers(definition_grants(definition)) and self._own_models is None:
            return definition
        return restrict(definition, self._own_models)


def load_accepted_config(
    folder: Path, environ: Mapping[str, str], *, trust: bool = False
) -> tuple[Config, Authority]:
    """Load the settings of an environment, without those that the user has not accepted; `trust` accepts all.

    Raises `ConfigError` and `UsageError`.
    """
    document = read_config_document(folder)
    authority = Authority.of_user(folder, document, trust=trust)
    authority.apply(document, environ)
    return load_config(folder, environ, document), authority
