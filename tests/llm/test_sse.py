"""The events of a body are the same however it comes in pieces."""

import pytest

from prompt_objects.llm.response import MalformedResponse
from prompt_objects.llm.sse import ServerSentEvent, SSEDecoder

STREAM = (
    b': ping\n\ndata: {"a": "\xc3\xa9"}\r\n\r\n'
    b"event: error\ndata: one\ndata: two\n\n\n\ndata:[DONE]\n\ndata: behind\n\n"
)
FOUND = [ServerSentEvent("", b'{"a": "\xc3\xa9"}\n'), ServerSentEvent("error", b"one\ntwo\n")]


def found_in(*pieces: bytes) -> tuple[list[ServerSentEvent], bool]:
    events = SSEDecoder()
    found: list[ServerSentEvent] = []
    for piece in pieces:
        found += events.feed(piece)
        if events.is_done:
            return found, True
    return [*found, *events.end()], False


def test_a_body_cut_anywhere_has_the_same_events() -> None:
    for at in range(len(STREAM)):
        assert found_in(STREAM[:at], STREAM[at:]) == (FOUND, True)
    assert found_in(*(bytes([byte]) for byte in STREAM)) == (FOUND, True)


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
def test_a_body_may_just_end(body: bytes, found: list[ServerSentEvent]) -> None:
    assert found_in(body)[0] == found
    assert found_in(*(bytes([byte]) for byte in body))[0] == found


@pytest.mark.parametrize("start", [b"data: ", b'{"choices": "'])
def test_too_much_at_once_is_nonsense(start: bytes) -> None:
    events = SSEDecoder()
    assert list(events.feed(start)) == []
    with pytest.raises(MalformedResponse, match="event that is too large"):
        list(events.feed(b"x" * 10_000_001))
