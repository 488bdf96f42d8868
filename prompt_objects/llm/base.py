"""The `LLM` protocol, with its requests, chunks and completions."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from msgspec import Struct, field

from prompt_objects.errors import LLMError
from prompt_objects.message import Message

FINISHED = frozenset(
    {"stop", "tool_calls", "function_call", "tool_use", "end_turn", "stop_sequence", "eos", "eos_token", "complete"}
)
"""The finish reasons, in lower case, of a complete response. Any other one, known or not, means an interruption."""


class Usage(Struct, frozen=True):
    """Tokens of one or more requests, as the server counted them.

    `cached` tokens are part of `prompt`. `cost` is in US dollars, or None if prices are unknown.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    cost: float | None = None

    @property
    def total(self) -> int:
        """Prompt and completion tokens."""
        return self.prompt + self.completion

    def __add__(self, other: "Usage") -> "Usage":
        costs = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Usage(
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.cached + other.cached,
            sum(costs) if costs else None,
        )

    def as_json(self) -> dict[str, int | float]:
        """Return the form stored in messages: `prompt_tokens`, `completion_tokens`, `cached_tokens`, `cost`."""
        tokens: dict[str, int | float] = {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "cached_tokens": self.cached,
        }
        return tokens if self.cost is None else {**tokens, "cost": self.cost}

    @classmethod
    def from_json(cls, usage: Mapping[str, Any]) -> "Usage":
        """Return what `as_json` has stored in a message."""
        prompt, completion, cached = (usage.get(f"{name}_tokens", 0) for name in ("prompt", "completion", "cached"))
        return cls(prompt, completion, cached, usage.get("cost"))


class Request(Struct, frozen=True):
    """One request: messages in the Chat Completions format, tools as functions, and settings such as temperature.

    `model` may be empty: a client sends its own. `extra` has, by the index of a message, the fields that servers
    added to it (see `prompt_objects.llm.chat_api.extra_fields`); each server may get only its own.
    """

    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    extra: Mapping[int, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


class Adaptations(Struct, frozen=True, omit_defaults=True):
    """The changes that make a request acceptable for one server.

    `server` is the address of the server, whose extra fields are returned to it except for the `refused_fields`.
    `repairs` are names of `prompt_objects.llm.chat_api.repairs.REPAIRS`, in the order in which they are applied.
    """

    server: str = ""
    refused_fields: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()


class RequestSent(Struct, frozen=True):
    """The request is sent now: the SHA-256 of its body in hexadecimal, and what was adapted for the server."""

    sha256: str
    adaptations: Adaptations


class TextChunk(Struct, frozen=True):
    """A part of the text of a streamed response."""

    text: str


class RetryScheduled(Struct, frozen=True):
    """The request failed with `error` before any text came; it is sent again in `seconds`.

    To cancel the retry, close the generator.
    """

    error: LLMError
    seconds: float


class Completion(Struct, frozen=True):
    """The end of a response: the complete message in the Chat Completions format, with its usage.

    `finish_reason` is the server's value, such as `stop`, `tool_calls` or `length`; if it is not in `FINISHED`, the
    response counts as interrupted. `notices` are sentences for the user.
    """

    message: Message
    usage: Usage
    finish_reason: str = "stop"
    notices: tuple[str, ...] = ()


StreamPart: TypeAlias = RequestSent | RetryScheduled | TextChunk | Completion


class LLM(Protocol):
    """A language model, safe to use by any number of turns at the same time.

    `stream` yields any number of `TextChunk`s, then exactly one `Completion` whose content is all that text. Before
    each attempt it may yield `RequestSent`, and between attempts `RetryScheduled`. It raises `LLMError` if there will
    be no completion; the caller keeps the text yielded before.
    """

    @property
    def model(self) -> str:
        """The name to display and to store in messages."""

    def stream(self, request: Request) -> AsyncGenerator[StreamPart, None]:
        """Send the request and stream the response; closing the generator cancels the request."""

    async def close(self) -> None:
        """Close the connections; they are opened again when needed."""
