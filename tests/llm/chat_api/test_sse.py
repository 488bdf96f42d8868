"""Server-sent events do not depend on how the body is split."""

import pytest

from prompt_objects.llm.chat_api.response import MalformedResponse
from prompt_objects.llm.chat_api.sse import ServerSentEvent, SSEDecoder

STREAM = (
    b': ping\n\ndata: {"a": "\xc3\xa9"}\r\n\r\n'
    b"event: error\ndata: one\ndata: two\n\n\n\ndata:[DONE]\n\ndata: after\n\n"
)
FOUND = [ServerSentEvent("", b'{"a": "\xc3\xa9"}\n'), ServerSentEvent("error", b"one\ntwo\n")]


def decode(*chunks: bytes) -> tuple[list[ServerSentEvent], bool]:
    events = SSEDecoder()
    found: list[ServerSentEvent] = []
    for chunk in chunks:
        found += events.feed(chunk)
        if events.is_done:
            return found, True
    return [*found, *events.end()], False


def test_a_body_split_anywhere_has_the_same_events() -> None:
    for at in range(len(STREAM)):
        assert decode(STREAM[:at], STREAM[at:]) == (FOUND, True)
    assert decode(*(bytes([byte]) for byte in STREAM)) == (FOUND, True)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"data: one\n\ndata: two", [ServerSentEvent("", b"one\n"), ServerSentEvent("", b"two\n")]),
        (b"data: one\n\ndata: two\n", [ServerSentEvent("", b"one\n"), ServerSentEvent("", b"two\n")]),
        (b"data: one\n\ndata: [DONE]", [ServerSentEvent("", b"one\n")]),
        (b'{"choices":\n\n []}', [ServerSentEvent("", b'{"choices":\n\n []}')]),
        (b'[{"choices": []}]\n', [ServerSentEvent("", b'[{"choices": []}]\n')]),
        (b"", []),
        (b": only a comment", []),
    ],
)
def test_a_body_may_end_without_done(body: bytes, found: list[ServerSentEvent]) -> None:
    assert decode(body)[0] == found
    assert decode(*(bytes([byte]) for byte in body))[0] == found


def test_a_json_document_is_recognized() -> None:
    for body, is_document in ((b"data: 1\n\n", False), (b'{"choices": []}\n', True)):
        events = SSEDecoder()
        list(events.feed(body))
        assert events.is_document is is_document


@pytest.mark.parametrize("start", [b"data: ", b'{"choices": "'])
def test_an_event_over_the_maximum_size_is_malformed(start: bytes) -> None:
    events = SSEDecoder()
    assert list(events.feed(start)) == []
    with pytest.raises(MalformedResponse, match="event that is too large"):
        list(events.feed(b"x" * 4_000_001))
