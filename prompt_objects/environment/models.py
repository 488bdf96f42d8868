"""The connections of an environment to its models."""

import asyncio
import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from prompt_objects.config.environment import Config
from prompt_objects.errors import PromptObjectsError, UsageError
from prompt_objects.utils.text import did_you_mean

if TYPE_CHECKING:
    from prompt_objects.config.definition import Definition
    from prompt_objects.llm.base import LLM
    from prompt_objects.llm.connection import ModelConnection
    from prompt_objects.llm.fallback import FallbackChain
    from prompt_objects.llm.model_server import ModelServer
    from prompt_objects.sessions.requests import Frame


_POLL_SECONDS = 0.5
_MAX_LOADING_SECONDS = 600.0
_MAX_SILENT_SECONDS = 20.0
_LISTED_SECONDS = 30.0  # how long a list of models is offered without asking the server again


class ModelRegistry:
    """The `connections` to models by name, each opened when it is first needed. Thread-safe.

    `selected` (a model ID, or a key of `models` in environment.yaml) is used instead of the definitions' models;
    `llm` is a client to use for every model. If no model is set up, the rehearsal responds, and each turn looks for a
    local server again, as for one at OPENAI_BASE_URL that was not there; with `requires_model`, turns fail instead.
    """

    def __init__(
        self, config: Config, environ: Mapping[str, str], *, selected: str | None = None, llm: "LLM | None" = None
    ) -> None:
        self._config = config
        self._environ = environ
        self._selected = selected
        self._llm = llm
        self.requires_model = False
        self.connections: dict[str | None, ModelConnection] = {}
        self._lock = threading.Lock()
        self._ignored_servers: set[str] = set()
        self._listed: dict[ModelServer, tuple[float, tuple[str, ...]]] = {}

    def connection_for(self, definition: "Definition") -> "ModelConnection":
        """Return the connection to the model of a definition. Raises `UsageError`, and `NotReady` for a local server.

        If no model is configured, this looks for a local model server, which takes a moment.
        """
        return self._connect(self._name_for(definition))

    async def fallback_chain_for(self, definition: "Definition", notify: Callable[[str], None]) -> "FallbackChain":
        """Return the models that a turn tries: the definition's model, then its fallbacks. Raises `UsageError`.

        Waits for a local server that is still loading; `notify` tells the user. Fallbacks are ignored if the user
        selected a model explicitly.
        """
        from prompt_objects.llm.fallback import FallbackChain

        name = self._name_for(definition)
        fallbacks = [*definition.model.fallback] if definition.model and not self._selected else []
        connection = self.connections.get(name)
        if connection is None or connection.is_provisional:
            was_provisional = connection is not None
            connection = await self._wait_for(name, notify)
            if was_provisional and not connection.is_provisional:
                notify(f"{connection} responds from now on.")
        if connection.is_stand_in and self.requires_model:
            if not fallbacks:
                raise _no_model()
            connection = await self._wait_for(fallbacks.pop(0), notify)
        return FallbackChain(connection, [partial(self._connect, fallback) for fallback in fallbacks])

    def require_model(self, definition: "Definition") -> None:
        """Let turns fail instead of using the rehearsal unasked; raises `UsageError` if no model is set up."""
        from prompt_objects.llm.connect import NotReady

        self.requires_model = True
        try:
            is_stand_in = self.connection_for(definition).is_stand_in
        except NotReady:
            return  # the turn waits for it
        if is_stand_in and not (definition.model and definition.model.fallback):
            raise _no_model()

    def select(self, name: str, definition: "Definition") -> "ModelConnection":
        """Use a model for every prompt object, and return the connection to it.

        `name` is one of `choices`, or another model ID. Raises `UsageError` if the server does not have that model,
        or if its key is missing.
        """
        connection = self._connect_in_use(name, definition)
        if connection is None:
            connection = self._connect(name)
            _check_usable(connection, is_configured=name in self._config.models)
        self.connections[name] = connection
        self._selected = name
        return connection

    def choices(self, definition: "Definition") -> list[tuple[str, str]]:
        """Return the names for `select`, each with a description; may block for some seconds.

        They are the models in environment.yaml, the chat models of the server that `definition` uses, the providers
        whose key is set, and the rehearsal.
        """
        from prompt_objects.llm.providers import PROVIDERS, providers_with_key

        configured = {
            name: model.model or PROVIDERS[model.provider or "openai"].model
            for name, model in self._config.models.items()
        }
        in_use = self._in_use(definition)
        server = in_use and in_use.server
        offered = dict.fromkeys(self._chat_models(server), str(server)) if server else {}
        keyed = {name: f"{each.model} at {each.label}" for name, each in providers_with_key(self._environ).items()}
        return [*{**configured, **offered, **keyed, "rehearsal": "offline, without a model", **configured}.items()]

    def keys_found(self) -> list[str]:
        """Return the providers whose key is set, each with the variable: `OpenAI (OPENAI_API_KEY)`."""
        from prompt_objects.llm.providers import providers_with_key

        providers = providers_with_key(self._environ).values()
        return [f"{each.label} ({each.find_key(self._environ)[0]})" for each in providers]

    def recorded_model(self, frame: "Frame") -> str | None:
        """Return the name that selects the model of a frame: the recorded one, at the same server if that is known.

        May contact servers, so it may block. Raises `UsageError`, also if the name has no meaning any more, and
        `NotReady` for a local server.
        """
        from prompt_objects.llm.connect import connect_to

        name = frame.definition.model
        connection = self._connect(name)
        if self._llm or connection.llm.model == frame.model:
            return name
        if name == connection.llm.model and name not in self._config.models:  # it would be a model ID now
            hint = "Continue without --pin, or add it to the settings again."
            raise UsageError(f"The model {name!r} of this session is not in the settings any more.", hint=hint)
        if connection.server is None:
            return frame.model
        recorded = f"{name or 'default'}: {frame.model}"  # the model alone may be the name of one at another server
        with self._lock:
            if recorded not in self.connections:
                found = connect_to(connection.server, frame.model)
                self.connections[recorded] = dataclasses.replace(found, name=name)  # for the next frame
        return recorded

    def connected_model(self, definition: "Definition") -> str:
        """Return the name of the model of a definition; empty if there is no connection to it yet."""
        connection = self.connections.get(self._name_for(definition))
        return connection.llm.model if connection else ""

    def has_known_price(self, model: str | None) -> bool:
        from prompt_objects.llm.connect import has_known_price

        return has_known_price(model, self._config, self._environ)

    async def _wait_for(self, model: str | None, notify: Callable[[str], None]) -> "ModelConnection":
        """Connect to a model; wait while its local server loads. A server that stays silent is another program."""
        from prompt_objects.llm.connect import NotReady

        start, patience, notified = time.monotonic(), 0.3, False
        while True:
            try:
                return await asyncio.to_thread(self._connect, model, patience)
            except NotReady as error:
                waited = time.monotonic() - start
                if error.may_be_another and waited > _MAX_SILENT_SECONDS:
                    self._ignored_servers.add(error.base_url)
                elif waited > _MAX_LOADING_SECONDS:
                    raise
                if not notified:
                    notify(f"Waiting for the model: {error}")
                notified, patience = True, min(2 * patience, 5.0)
            await asyncio.sleep(_POLL_SECONDS)

    def _connect(self, model: str | None, patience: float = 0.3) -> "ModelConnection":
        from prompt_objects.llm.connect import chosen_name, connect
        from prompt_objects.llm.connection import ModelConnection
        from prompt_objects.llm.local_servers import find_local_server

        with self._lock:
            known = self.connections.get(model)
            if known is None or known.is_provisional:
                find_local = partial(find_local_server, seconds=patience, ignored=self._ignored_servers)
                given = self._llm and ModelConnection(self._llm, "given by the program")
                found = given or connect(model, self._config, self._environ, find_local=find_local)
                found = dataclasses.replace(found, name=chosen_name(model, self._config, self._environ) or None)
                known = known if known and found.is_provisional else found
                self.connections[model] = known
            return known

    def _connect_in_use(self, name: str, definition: "Definition") -> "ModelConnection | None":
        """Connect to a model that the server in use lists; return None if it does not."""
        from prompt_objects.llm.connect import connect_to

        in_use = self._in_use(definition)
        server = in_use and in_use.server
        if not in_use or not server or name in self._config.models or name in {"rehearsal", "default"}:
            return None
        if not server.list_models().find(name):
            return None
        return dataclasses.replace(connect_to(server, name), name=in_use.name)  # which names the server

    def _in_use(self, definition: "Definition") -> "ModelConnection | None":
        with suppress(PromptObjectsError):  # the next message shows the error
            return self.connection_for(definition)
        return None

    def _chat_models(self, server: "ModelServer") -> tuple[str, ...]:
        since, models = self._listed.get(server, (float("-inf"), ()))
        if time.monotonic() - since > _LISTED_SECONDS:
            models = server.list_models().chat
            self._listed[server] = (time.monotonic(), models)
        return models

    def _name_for(self, definition: "Definition") -> str | None:
        return self._selected or (definition.model.use if definition.model else None)

    async def disconnect(self) -> None:
        await asyncio.gather(*(connection.llm.close() for connection in self.connections.values()))


def _check_usable(connection: "ModelConnection", *, is_configured: bool) -> None:
    """Raise `UsageError` if the key of a model is missing, or if its server lists other models only."""
    model, server = connection.llm.model, connection.server
    if server and server.missing_key:
        hint = f"Set {server.missing_key} in the environment, or choose another model."
        raise UsageError(f"{connection.llm.model}: no key is set for {server.label or 'its server'}.", hint=hint)
    listing = server.list_models() if server and not is_configured else None
    if listing and listing.names and listing.is_complete and not listing.find(model):
        hint = did_you_mean(model, listing.chat) or "/model lists the models."
        raise UsageError(f"{server} has no model {model!r}.", hint=hint)


def _no_model() -> UsageError:
    from prompt_objects.llm.connect import NO_MODEL

    hint = "See docs/models.md. To try the program without a model, add: --model rehearsal"
    return UsageError(f"There is no model to respond: {NO_MODEL}.", hint=hint)
