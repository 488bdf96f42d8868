"""The `LLM` protocol, and the requests, chunks and completions that pass through it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct, field

from prompt_objects.errors import LLMError
from prompt_objects.message import Message

__all__ = [
    "LLM",
    "Completion",
    "Request",
    "RetryScheduled",
    "TextChunk",
    "Usage",
]


class Usage(Struct, frozen=True):
    """Tokens of one or more requests, as the server counted them; `cached` are part of `prompt`.

    `cost` is in US dollars, None where nothing is known of prices.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    cost: float | None = None

    @property
    def total(self) -> int:
        """Tokens in and out."""
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
        """Write it as it is kept on a message: `prompt_tokens`, `completion_tokens`, `cached_tokens`, `cost`."""
        tokens: dict[str, int | float] = {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "cached_tokens": self.cached,
        }
        return tokens if self.cost is None else {**tokens, "cost": self.cost}


class Request(Struct, frozen=True):
    """One request: messages in the chat form, tools as functions, and settings such as temperature."""

    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


class TextChunk(Struct, frozen=True):
    """A piece of the answer, as it streams."""

    text: str


class RetryScheduled(Struct, frozen=True):
    """No answer has begun, because of `error`; the request is sent again in so many seconds.

    Whoever will not wait closes the generator.
    """

    error: LLMError
    seconds: float


class Completion(Struct, frozen=True):
    """The end of an answer: the whole message in the chat form, and what it took.

    `finish_reason` is the server's word: `stop`, `tool_calls`, `length`, `content_filter`.
    """

    message: Message
    usage: Usage
    finish_reason: str = "stop"


class LLM(Protocol):
    """A language model.

    `stream` yields any number of `Text`, then exactly one `Completion` whose content is all that text; before the
    first `Text` it may yield `Waiting`. It raises `LLMError` when there will be no completion; text that was yielded
    before then is kept by the caller. It may be used by any number of turns at once.
    """

    @property
    def model(self) -> str:
        """The name to show and to keep on messages."""

    def stream(self, request: Request) -> AsyncGenerator[TextChunk | RetryScheduled | Completion, None]:
        """Send the request and stream the answer; closing the generator cancels it."""

    async def close(self) -> None:
        """Let go of connections; they are made again when needed."""
