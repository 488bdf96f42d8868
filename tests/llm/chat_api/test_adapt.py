"""The bytes of a request depend only on its parts and on the adaptations, which can be stored."""

import json
from copy import deepcopy

import msgspec
import pytest

from prompt_objects.llm.base import Adaptations, Request
from prompt_objects.llm.chat_api.adapt import adapt, encode
from prompt_objects.llm.chat_api.assemble import assemble
from prompt_objects.llm.chat_api.repairs import REPAIRS
from prompt_objects.message import Message
from tests.support.messages import call

SERVER = "https://one.example"
HISTORY: list[Message] = [
    {"role": "user", "content": "Look"},
    {"role": "user", "content": "here"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [call("a")],
        "extra": {"server": SERVER, "message": {"state": "V", "kept": 1}, "calls": {"a": {"signature": "S"}}},
    },
    {"role": "tool", "tool_call_id": "a", "content": "seen"},
]
OPTIONS = {"temperature": 0.5, "max_completion_tokens": 9}
READ_FILE = {"type": "function", "function": {"name": "read_file", "parameters": {"type": "object"}}}


def test_the_usual_form_has_everything() -> None:
    body = adapt(assemble("Be kind.", HISTORY, [READ_FILE], OPTIONS, model="m"), Adaptations())
    messages = body.pop("messages")
    usual = {"model": "m", "stream": True, "stream_options": {"include_usage": True}, "tools": [READ_FILE]}
    assert body == {**OPTIONS, **usual}
    assert messages == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Look\n\nhere"},
        {"role": "assistant", "content": "", "tool_calls": [call("a")]},
        {"role": "tool", "tool_call_id": "a", "content": "seen"},
    ]


def test_extra_fields_are_returned_to_their_server_except_for_refused_ones() -> None:
    adaptations = Adaptations(SERVER, refused_fields=("state",))
    _, _, sent, _ = adapt(assemble("p", HISTORY), adaptations)["messages"]
    calls = [{**call("a"), "signature": "S"}]
    assert sent == {"role": "assistant", "content": "", "tool_calls": calls, "kept": 1}


def test_fields_of_two_servers_stay_apart_in_a_merged_message() -> None:
    servers = (SERVER, "https://two.example")
    history: list[Message] = [{"role": "user", "content": "Hi"}]
    for number, server in enumerate(servers):
        extra = {"server": server, "message": {f"state_{number}": "V"}}
        history.append({"role": "assistant", "content": str(number), "extra": extra})
    for number, server in enumerate(servers):
        *_, merged = adapt(assemble("p", history), Adaptations(server))["messages"]
        assert merged == {"role": "assistant", "content": "0\n\n1", f"state_{number}": "V"}
    assert assemble("p", history).messages[-1] == {"role": "assistant", "content": "0\n\n1"}


@pytest.mark.parametrize("repairs", [(), *((name,) for name in REPAIRS), tuple(REPAIRS)])
def test_the_same_parts_and_stored_adaptations_give_the_same_bytes(repairs: tuple[str, ...]) -> None:
    adaptations = Adaptations(SERVER, ("state",), repairs)
    before = deepcopy(request := assemble("p", HISTORY, [READ_FILE], OPTIONS, model="m"))
    sent = encode(adapt(request, adaptations))
    assert request == before
    stored = json.loads(json.dumps([HISTORY, msgspec.to_builtins(adaptations)]))
    rebuilt = assemble("p", stored[0], [READ_FILE], OPTIONS, model="m")
    assert encode(adapt(rebuilt, msgspec.convert(stored[1], Adaptations))) == sent


def test_the_body_is_strict_json() -> None:
    schema = {"type": "function", "function": {"name": "f", "parameters": {"default": float("nan")}}}
    for content in ("plain é", "half \ud800"):
        request = Request([{"role": "user", "content": content}], [schema], {"temperature": float("inf")})
        text = encode(adapt(request, Adaptations())).decode()
        assert "NaN" not in text
        assert "Infinity" not in text
        assert json.loads(text)["messages"][0]["content"] in {"plain é", "half \ufffd"}
