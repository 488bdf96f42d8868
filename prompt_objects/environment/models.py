"""The connections of an environment to its models."""

import asyncio
import threading
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from prompt_objects.config.environment import Config

if TYPE_CHECKING:
    from prompt_objects.config.definition import Definition
    from prompt_objects.llm.base import LLM
    from prompt_objects.llm.connect import FallbackChain, ModelConnection


class ModelRegistry:
    """The `connections` to models by name, each opened when it is first needed. Thread-safe.

    `selected` (a model ID, or a key of `models` in environment.yaml) is used instead of the definitions' models;
    `llm` is a client to use for every model.
    """

    def __init__(
        self, config: Config, environ: Mapping[str, str], *, selected: str | None = None, llm: "LLM | None" = None
    ) -> None:
        self._config = config
        self._environ = environ
        self._selected = selected
        self._llm = llm
        self.connections: dict[str | None, ModelConnection] = {}
        self._lock = threading.Lock()

    def connection_for(self, definition: "Definition") -> "ModelConnection":
        """Return the connection to the model of a definition. Raises `UsageError`.

        If no model is configured, this looks for a local model server, which takes a moment.
        """
        return self._connect(self._name_for(definition))

    async def fallback_chain_for(self, definition: "Definition") -> "FallbackChain":
        """Return the models that a turn tries: the definition's model, then its fallbacks. Raises `UsageError`.

        Fallbacks are ignored if the user selected a model explicitly.
        """
        from prompt_objects.llm.connect import FallbackChain

        names = () if self._selected or not definition.model else definition.model.fallback
        connection = self.connections.get(self._name_for(definition))
        if connection is None:
            connection = await asyncio.to_thread(self.connection_for, definition)
        return FallbackChain(connection, [partial(self._connect, name) for name in names])

    def select(self, model: str) -> "ModelConnection":
        """Use a model, given by name or by a key of `models`, for every prompt object. Raises `UsageError`."""
        connection = self._connect(model)
        self._selected = model
        return connection

    def connected_model(self, definition: "Definition") -> str:
        """Return the name of the model of a definition; empty if there is no connection to it yet."""
        connection = self.connections.get(self._name_for(definition))
        return connection.llm.model if connection else ""

    def has_known_price(self, model: str | None) -> bool:
        from prompt_objects.llm.connect import has_known_price

        return has_known_price(model, self._config, self._environ)

    def _connect(self, model: str | None) -> "ModelConnection":
        from prompt_objects.llm.connect import ModelConnection, connect

        with self._lock:
            if model not in self.connections:
                given = self._llm and ModelConnection(self._llm, "given by the program")
                self.connections[model] = given or connect(model, self._config, self._environ)
            return self.connections[model]

    def _name_for(self, definition: "Definition") -> str | None:
        return self._selected or (definition.model.use if definition.model else None)

    async def disconnect(self) -> None:
        await asyncio.gather(*(connection.llm.close() for connection in self.connections.values()))
