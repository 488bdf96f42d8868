"""Calls are joined from the pieces in which servers send them, in linear time."""

import json

import pytest

from prompt_objects.llm.chat_api.response import MalformedResponse, ResponseBuilder
from prompt_objects.llm.chat_api.streamed_calls import StreamedCalls
from tests.support.chunks import delta, piece


def calls(*chunks: object) -> list[tuple[str, str]]:
    """Return the name and the arguments of each call; the ids must be unique."""
    builder = ResponseBuilder()
    for chunk in (*chunks, delta("stop")):
        builder.add(chunk)
    tool_calls = builder.completion().message["tool_calls"]
    assert len({call["id"] for call in tool_calls}) == len(tool_calls)
    assert all(len(call["id"]) == 9 and call["id"].isascii() and call["id"].isalnum() for call in tool_calls)
    return [(call["function"]["name"], call["function"]["arguments"]) for call in tool_calls]


def test_pieces_of_several_calls_may_alternate() -> None:
    assert calls(
        piece(0, "a", name="read", arguments=""),
        piece(1, "b", name="write", arguments=""),
        piece(0, arguments='{"n"'),
        piece(1, arguments='{"m"'),
        piece(0, arguments=": 1}"),
        piece(1, arguments=": 2}"),
    ) == [("read", '{"n": 1}'), ("write", '{"m": 2}')]


def test_a_complete_call_may_lack_index_and_id() -> None:
    assert calls(piece(name="read", arguments='{"n": 1}')) == [("read", '{"n": 1}')]


def test_complete_calls_without_index_and_id_stay_separate() -> None:
    complete = piece(name="read", arguments='{"n": 1}')
    assert calls(complete, complete) == [("read", '{"n": 1}')] * 2


def test_calls_with_the_same_index_are_distinguished_by_id() -> None:
    assert calls(piece(0, "a", name="read", arguments="{}"), piece(0, "b", name="write", arguments="{}")) == [
        ("read", "{}"),
        ("write", "{}"),
    ]


def test_calls_with_the_same_index_and_no_id_are_distinguished_by_being_complete() -> None:
    assert calls(piece(0, name="read", arguments='{"n": 1}'), piece(0, name="write", arguments="{}")) == [
        ("read", '{"n": 1}'),
        ("write", "{}"),
    ]


def test_a_name_that_is_repeated_with_each_piece_is_one_call() -> None:
    assert calls(piece(0, "a", name="read", arguments='{"n"'), piece(0, "a", name="read", arguments=": 1}")) == [
        ("read", '{"n": 1}')
    ]


def test_pieces_without_index_go_to_the_last_call() -> None:
    assert calls(piece(call_id="a", name="read"), piece(arguments='{"n": '), piece(arguments="1}")) == [
        ("read", '{"n": 1}')
    ]


def test_arguments_may_be_an_object() -> None:
    assert calls(piece(0, "a", name="read", arguments={"n": 1})) == [("read", '{"n": 1}')]


def test_missing_arguments_are_an_empty_object() -> None:
    assert calls(piece(0, "a", name="read")) == [("read", "{}")]


def test_two_calls_with_the_same_id_get_unique_ids() -> None:
    assert calls(piece(0, "a", name="read"), piece(1, "a", name="read")) == [("read", "{}")] * 2


def test_ids_that_servers_repeat_are_replaced_by_unique_ones() -> None:
    ids: set[str] = set()
    for _ in range(50):
        built = StreamedCalls()
        built.add({"index": 0, "id": "call_0", "function": {"name": "read"}})
        ids |= {call["id"] for call in built.finished()[0]}
    assert len(ids) == 50


def test_a_call_without_a_name_is_malformed() -> None:
    with pytest.raises(MalformedResponse, match="call without a name"):
        calls(piece(0, "a", arguments="{}"))


def test_the_same_index_with_an_empty_id_is_the_same_call() -> None:
    pieces = [("call_1", '{"path":'), ("", '"objects"}'), ("", "")]
    chunks = [piece(0, call_id, name="list_files", arguments=arguments) for call_id, arguments in pieces]
    assert calls(*chunks) == [("list_files", '{"path":"objects"}')]


def test_a_call_that_is_repeated_as_a_whole_is_a_repetition() -> None:
    chunks = [
        piece(0, "a", name="read", arguments='{"n":'),
        piece(0, arguments=" 1}"),
        piece(0, "a", name="read", arguments='{"n": 1}'),
    ]
    assert calls(*chunks) == [("read", '{"n": 1}')]


def test_an_empty_object_before_the_arguments_is_only_a_start_value() -> None:
    assert calls(piece(0, "a", name="read", arguments={}), piece(0, arguments='{"n": 1}')) == [("read", '{"n": 1}')]


def test_different_calls_with_one_index_and_no_ids_stay_separate() -> None:
    chunks = [piece(0, name="read", arguments=json.dumps({"n": number})) for number in (1, 2)]
    assert calls(*chunks) == [("read", '{"n": 1}'), ("read", '{"n": 2}')]


def test_pieces_without_index_are_distinguished_by_id() -> None:
    assert calls(
        piece(call_id="a", name="read", arguments='{"n"'),
        piece(call_id="b", name="write", arguments="{}"),
        piece(call_id="a", arguments=": 1}"),
    ) == [("read", '{"n": 1}'), ("write", "{}")]


@pytest.mark.parametrize("arguments", [[1], 5, True], ids=repr)
def test_arguments_of_another_type_are_kept_for_an_error_of_the_tool(arguments: object) -> None:
    assert calls(piece(0, name="read", arguments=arguments)) == [("read", json.dumps(arguments))]


def test_a_single_call_may_stand_without_a_list() -> None:
    assert calls(delta(tool_calls={"function": {"name": "read"}})) == [("read", "{}")]


def test_a_function_call_of_the_older_form_is_a_call() -> None:
    older = [delta(function_call={"name": "read", "arguments": '{"n":'}), delta(function_call={"arguments": " 1}"})]
    assert calls(*older) == [("read", '{"n": 1}')]


def test_deeply_nested_arguments_are_kept_for_an_error_of_the_tool() -> None:
    text = "[" * 20_000
    assert calls(piece(0, name="read", arguments=text), piece(0, name="read", arguments="]")) == [
        ("read", text + "]")
    ]


@pytest.mark.parametrize(
    ("chunk", "words"),
    [
        (delta(tool_calls=[{"index": n, "function": {"name": "x"}} for n in range(120_000)]), "too many calls"),
        (delta(tool_calls=[{"index": n, "function": {"name": "x"}} for n in range(200)]), "more than 128 calls"),
        (piece(0, name="x", arguments="".join(f'{{"n": {n}}}' for n in range(200))), "more than 128 calls"),
        (piece(0, name="x" * 1000), "name that is too long"),
    ],
    ids=["event", "calls", "objects", "name"],
)
def test_the_number_of_calls_and_the_length_of_names_are_limited(chunk: object, words: str) -> None:
    with pytest.raises(MalformedResponse, match=words):
        calls(chunk)


@pytest.mark.parametrize("arguments", ['{"a": 1}' * 1_000_000, "{}" * 4_000_000, " " * 9_000_000, "[" * 9_000_000])
def test_arguments_of_any_length_and_form_are_read_once(arguments: str) -> None:
    assert len(calls(piece(0, name="x", arguments=arguments))) == 1


@pytest.mark.parametrize("repeated", [{}, {"name": "write"}], ids=["once", "repeated"])
def test_arguments_in_100_000_pieces_are_joined(repeated: dict[str, str]) -> None:
    first = piece(0, "a", name="write", arguments='{"text": "')
    rest = piece(0, "", arguments="abcd", **repeated)
    ((_, arguments),) = calls(first, *[rest] * 100_000, piece(0, arguments='"}'))
    assert json.loads(arguments) == {"text": "abcd" * 100_000}
