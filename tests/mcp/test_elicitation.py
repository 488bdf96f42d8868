"""MCP servers ask the user."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from prompt_objects.config.environment_schema import ServerConfig
from prompt_objects.runtime.interaction import InputRequest
from tests.support.interaction import Answers
from tests.support.mcp_servers import Turn, using
from tests.support.paths import SUPPORT

pytest.importorskip("mcp")
from mcp.types import ElicitRequestFormParams, ElicitRequestURLParams

from prompt_objects.mcp.elicitation import answer

FORM = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Your name", "description": "As in your passport", "minLength": 2},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "height": {"type": "number"},
        "member": {"type": "boolean", "default": False},
        "colour": {
            "type": "string",
            "oneOf": [{"const": "#f00", "title": "Red"}, {"const": "#00f", "title": "Blue"}],
        },
        "days": {"type": "array", "items": {"type": "string", "enum": ["Mon", "Tue"]}},
    },
    "required": ["name", "age"],
}


class Typing:
    """A user who types prepared answers; `asked` are the questions."""

    def __init__(self, turn: Turn, *texts: str) -> None:
        self.asked: list[InputRequest] = []
        self._texts = list(texts)
        self._interaction = turn.context.services.interaction
        self._interaction.handler = Answers(ask=self.ask)

    async def ask(self, request: InputRequest) -> str:
        self.asked.append(request)
        return self._texts.pop(0)


async def ask(turn: Turn, schema: dict[str, Any]) -> dict[str, Any]:
    request = ElicitRequestFormParams(message="Who are you?", requested_schema=schema)
    result = await answer("tickets", request, turn.context)
    return result.model_dump(exclude_none=True, include={"action", "content"})


async def test_each_field_of_a_form_is_a_question_and_the_answers_have_its_types(tmp_path: Path) -> None:
    async with using(tmp_path, {}) as turn:
        user = Typing(turn, "Ann", "41", "1.75", "yes", "blue", "mon, Tue")
        assert await ask(turn, FORM) == {
            "action": "accept",
            "content": {
                "name": "Ann",
                "age": 41,
                "height": 1.75,
                "member": True,
                "colour": "#00f",
                "days": ["Mon", "Tue"],
            },
        }
        assert [request.question for request in user.asked] == [
            "The MCP server tickets asks: Who are you?\nYour name: As in your passport",
            "age",
            "height: optional",
            "member: default: false",
            "colour: optional",
            "days: several, separated by commas; optional",
        ]
        assert [request.choices for request in user.asked] == [
            (),
            (),
            (),
            ("yes", "no"),
            ("Red", "Blue"),
            ("Mon", "Tue"),
        ]


async def test_an_invalid_answer_is_asked_again_and_optional_fields_may_be_left_out(tmp_path: Path) -> None:
    async with using(tmp_path, {}) as turn:
        user = Typing(turn, "A", "Ann", "old", "200", "41", "", "", "", "")
        assert await ask(turn, FORM) == {"action": "accept", "content": {"name": "Ann", "age": 41, "member": False}}
        assert user.asked[1].question.startswith(
            "The MCP server tickets asks: Who are you?\nThe text has 1 characters"
        )
        assert user.asked[3].question == "'old' is not a whole number.\nage"
        assert user.asked[4].question == "200 is not from 0 to 150.\nage"


@pytest.mark.parametrize("texts", [["", "41"], ["A", "B", "C"]], ids=["empty", "invalid"])
async def test_a_required_field_without_a_valid_answer_declines(tmp_path: Path, texts: list[str]) -> None:
    async with using(tmp_path, {}) as turn:
        Typing(turn, *texts)
        assert await ask(turn, FORM) == {"action": "decline"}


@pytest.mark.parametrize(("text", "action"), [("yes", "accept"), ("no", "decline"), ("", "decline")])
async def test_a_form_without_fields_and_an_address_are_confirmed(tmp_path: Path, text: str, action: str) -> None:
    async with using(tmp_path, {}) as turn:
        user = Typing(turn, text, text)
        assert (await ask(turn, {"type": "object"}))["action"] == action
        request = ElicitRequestURLParams(message="Log in", url="https://example.org/login", elicitation_id="1")
        assert (await answer("tickets", request, turn.context)).action == action
        assert "https://example.org/login" in user.asked[1].question


async def test_without_a_user_and_for_endless_forms_nothing_is_asked(tmp_path: Path) -> None:
    async with using(tmp_path, {}) as turn:
        assert await ask(turn, FORM) == {"action": "cancel"}
        Typing(turn)
        many = {"type": "object", "properties": {str(number): {} for number in range(100)}}
        assert await ask(turn, many) == {"action": "decline"}
        assert "more than 20 questions" in turn.notices()[0]


async def test_a_server_of_the_older_protocol_asks_during_a_call_which_does_not_time_out(tmp_path: Path) -> None:
    schema = json.dumps({"type": "object", "properties": {"name": {"type": "string"}}})
    command = (str(SUPPORT / "mcp_raw_server.py"), "asks", schema)
    config = ServerConfig(command=sys.executable, args=command, timeout=300)
    async with using(tmp_path, {"example": config}) as turn:
        turn.context = replace(turn.context, path=("clerk",))
        user = Typing(turn, "Ann")
        assert json.loads(await turn.call("example_get")) == {"action": "accept", "content": {"name": "Ann"}}
        assert user.asked[0].path == ("clerk",)


async def test_a_question_disappears_when_its_call_is_stopped(tmp_path: Path) -> None:
    schema = json.dumps({"type": "object", "properties": {"name": {"type": "string"}}})
    command = (str(SUPPORT / "mcp_raw_server.py"), "asks", schema)
    is_asked, is_gone = asyncio.Event(), asyncio.Event()

    async def ask(_: InputRequest) -> str:
        is_asked.set()
        try:
            await asyncio.sleep(60)
        finally:
            is_gone.set()
        return ""

    async with using(tmp_path, {"example": ServerConfig(command=sys.executable, args=command)}) as turn:
        turn.context.services.interaction.handler = Answers(ask=ask)
        call = turn.started("example_get")
        await asyncio.wait_for(is_asked.wait(), 10)
        call.cancel()
        await asyncio.wait_for(is_gone.wait(), 5)


async def test_a_server_of_the_newer_protocol_asks_with_its_response(tmp_path: Path) -> None:
    async with using(tmp_path) as turn:
        Typing(turn, "large")
        assert "large" in await turn.call("example_order")
