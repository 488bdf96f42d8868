"""The models of an environment: which of them a prompt object's turns use, each connected to once."""

import asyncio
import threading
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from prompt_objects.config.environment import Config

if TYPE_CHECKING:
    from prompt_objects.config.definition import Definition
    from prompt_objects.llm.base import LLM
    from prompt_objects.llm.connect import ModelConnection
    from prompt_objects.llm.fallback import FallbackChain

__all__ = [
    "ModelRegistry",
]


class ModelRegistry:
    """Connects to models when they are needed; safe to use from several threads.

    `chosen` (a model's name, or a key of `models` in environment.yaml) is used in place of whatever definitions ask
    for; `llm` is one to use for everything.
    """

    def __init__(
        self, config: Config, environ: Mapping[str, str], *, chosen: str | None = None, llm: "LLM | None" = None
    ) -> None:
        self._config = config
        self._environ = environ
        self._chosen = chosen
        self._llm = llm
        self._connections: dict[str | None, ModelConnection] = {}
        self._connecting = threading.Lock()

    @property
    def is_connected(self) -> bool:
        """Say whether any model was connected to."""
        return bool(self._connections)

    def connection_for(self, definition: "Definition") -> "ModelConnection":
        """Return the connection that a definition's turns use, and make it where there is none yet.

        Looks around for a model where none is set up, which takes a moment. Raises `UsageError`.
        """
        return self._connect(self._name_for(definition))

    async def fallback_chain_for(self, definition: "Definition") -> "FallbackChain":
        """Return the models that a turn uses: that of `connection_for`, and those that the definition has stand in.

        Nobody stands in for a model that a person chose for every prompt object. Raises `UsageError`.
        """
        from prompt_objects.llm.fallback import FallbackChain

        names = () if self._chosen or not definition.model else definition.model.fallback
        connection = self._connections.get(self._name_for(definition))
        if connection is None:
            connection = await asyncio.to_thread(self.connection_for, definition)
        return FallbackChain(connection, [partial(self._connect, name) for name in names])

    def use(self, model: str) -> "ModelConnection":
        """Use a model for every prompt object from now on. Raises `UsageError`."""
        connection = self._connect(model)
        self._chosen = model
        return connection

    def known_for(self, definition: "Definition") -> str:
        """Return the name of the model that a definition's turns use; empty while it was not connected to."""
        connection = self._connections.get(self._name_for(definition))
        return connection.llm.model if connection else ""

    def has_known_price(self, model: str | None) -> bool:
        """Say whether the prices of a model are known, as far as can be told without asking a server."""
        from prompt_objects.llm.connect import has_known_price

        return has_known_price(model, self._config, self._environ)

    def _connect(self, model: str | None) -> "ModelConnection":
        from prompt_objects.llm.connect import ModelConnection, connect

        with self._connecting:
            if model not in self._connections:
                given = self._llm and ModelConnection(self._llm, "given by the program")
                self._connections[model] = given or connect(model, self._config, self._environ)
            return self._connections[model]

    def _name_for(self, definition: "Definition") -> str | None:
        return self._chosen or (definition.model.use if definition.model else None)

    async def disconnect(self) -> None:
        """Let go of the connections; they are made again when needed."""
        await asyncio.gather(*(connection.llm.close() for connection in self._connections.values()))
