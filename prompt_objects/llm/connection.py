"""A model that was selected, with its server and its prices."""

from dataclasses import dataclass

from prompt_objects.llm.base import LLM, Usage
from prompt_objects.llm.model_server import ModelServer
from prompt_objects.llm.pricing import Pricing, no_pricing
from prompt_objects.llm.rehearsal import Rehearsal


@dataclass(frozen=True, slots=True)
class ModelConnection:
    """A model, where it runs ("Ollama at http://127.0.0.1:11434"), what it costs, and its server, if it has one.

    The rehearsal `is_stand_in` if no model is set up and nobody asked for the rehearsal. A connection
    `is_provisional` if there may be another one as soon as a server has started.
    """

    llm: LLM
    origin: str
    pricing: Pricing = no_pricing
    server: ModelServer | None = None
    is_stand_in: bool = False
    is_provisional: bool = False
    name: str | None = None

    def __str__(self) -> str:
        return f"{self.llm.model}: {self.origin}"

    @property
    def has_price(self) -> bool:
        """Return whether the cost of a request is known beforehand; the rehearsal costs nothing."""
        return isinstance(self.llm, Rehearsal) or self.pricing(Usage(1, 1)) is not None
