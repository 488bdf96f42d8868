"""The requests that led to the answers of a session: recorded with each answer, and rebuilt byte for byte.

A request is its frame (`prompt_objects.sessions.stores.frames`), the messages of the session at that time, and what
only this request had: a token limit, a final instruction, and adaptations to its server. The SHA-256 of the body
shows whether the rebuilt body is the one that was sent.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from prompt_objects.errors import Damaged, NotFound
from prompt_objects.llm.base import Adaptations
from prompt_objects.llm.chat_api.adapt import adapt, encode
from prompt_objects.llm.chat_api.assemble import assemble
from prompt_objects.llm.chat_api.repairs import REPAIRS
from prompt_objects.message import Message, role_of
from prompt_objects.sessions.stores.frames import digest_of
from prompt_objects.sessions.stores.json_lines import decode
from prompt_objects.utils.text import pluralize

NOT_EXACT = "This is not exactly what was sent: the messages, or the program, have changed since then."


class DefinitionVersion(Struct, frozen=True, omit_defaults=True):
    """The definition in use: its name, the digest of its file, and the model that it or the user selected by name."""

    name: str
    sha256: str
    model: str | None = None


class Frame(Struct, frozen=True):
    """The parts of a request that rarely change; `options` are the model's settings, `version` is the program's."""

    prompt: str
    tools: list[dict[str, Any]]
    model: str
    options: dict[str, Any]
    definition: DefinitionVersion
    version: str


class _Function(Struct):
    name: str


class _Tool(Struct):
    """What is read of a tool of a frame."""

    function: _Function


class RequestRecord(Struct, frozen=True, omit_defaults=True):
    """What an answer records about its request, beside its `frame`.

    `sha256` is that of the body that was sent. `history` is the number of messages in the session at that time. The
    `options` and the `final` message are of this request only. `cost_if_cached` is what the answer would have cost
    with the whole prompt in the server's cache, None if prices are unknown.
    """

    frame: str
    sha256: str
    history: int
    options: dict[str, Any] = {}
    final: str | None = None
    adaptations: Adaptations = Adaptations()
    cost_if_cached: float | None = None


class SentRequest(Struct, frozen=True):
    """The request that led to an answer: its body, rebuilt, and whether it `is_exact`, which is the body as sent."""

    body: bytes
    is_exact: bool
    record: RequestRecord
    frame: Frame


def answer_indexes(history: Sequence[Message]) -> list[int]:
    """Return the indexes of the answers of a history, which are all messages of the role assistant."""
    return [index for index, message in enumerate(history) if role_of(message) == "assistant"]


def find_answer(history: Sequence[Message], number: int) -> int:
    """Return the index of an answer, counted from 1. Raises `NotFound`."""
    indexes = answer_indexes(history)
    if not 1 <= number <= len(indexes):
        count = pluralize(len(indexes), "answer")
        raise NotFound(f"There is no answer {number}: the session has {count}.", hint="Answers are counted from 1.")
    return indexes[number - 1]


def record_of(answer: Message) -> RequestRecord:
    """Return what an answer records about its request.

    Raises `NotFound` if it records nothing, as in sessions of older versions, and `Damaged`.
    """
    if "request" not in answer:
        raise NotFound(
            "The request for this answer is not recorded.",
            hint="It was imported, or it is from a version of the program that did not record requests.",
        )
    try:
        return msgspec.convert(answer["request"], RequestRecord)
    except msgspec.ValidationError as error:
        raise Damaged(f"The record of the request for this answer cannot be read: {error}.") from error


def encode_frame(frame: Frame) -> bytes:
    """Return the document of a frame, encoded as a body is: a schema may have values that JSON does not."""
    return encode(msgspec.to_builtins(frame))


def parse_frame(content: bytes) -> Frame:
    """Return the frame in a document of a store. Raises `Damaged`."""
    try:
        frame = msgspec.convert(decode(content), Frame)
        msgspec.convert(frame.tools, list[_Tool])
    except (msgspec.ValidationError, ValueError) as error:
        raise Damaged(f"A request frame cannot be read: {error}.") from error
    return frame


def rebuild(answer: Message, history: Sequence[Message], frame: bytes) -> SentRequest:
    """Return the request for an answer of a history. Raises `NotFound` and `Damaged` as `record_of`."""
    record, parts = record_of(answer), parse_frame(frame)
    final = [] if record.final is None else [{"role": "user", "content": record.final}]
    request = assemble(
        parts.prompt,
        [*history[: record.history], *final],
        parts.tools,
        {**parts.options, **record.options},
        model=parts.model,
        without=_replaced(answer),
    )
    known = tuple(name for name in record.adaptations.repairs if name in REPAIRS)
    body = encode(adapt(request, replace(record.adaptations, repairs=known)))
    return SentRequest(body, digest_of(body) == record.sha256, record, parts)


def _replaced(answer: Message) -> tuple[int, int] | None:
    match answer.get("replaces"):
        case [int(start), int(stop)]:
            return start, stop
    return None
