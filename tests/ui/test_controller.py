"""The controller, driven through a view of lists: the smallest possible user interface."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from prompt_objects.chat.chat import Chat
from prompt_objects.environment.environment import Environment
from prompt_objects.runtime.interaction import ApprovalRequest, InputRequest
from prompt_objects.testing import ScriptedLLM
from prompt_objects.ui.controller import Controller
from prompt_objects.ui.question import Question
from prompt_objects.ui.render.style import Line, plain
from prompt_objects.ui.tasks import BackgroundTasks
from prompt_objects.utils import waiting
from tests.support.environments import make_env
from tests.support.other_process import Elsewhere

APPROVAL = ApprovalRequest(path=("scout",), session_id="", tool="send", effect="network", arguments={"to": "ann"})
QUESTION = InputRequest(path=("scout",), session_id="", question="Which way?", choices=("left", "right"))


class ListView:
    """A view that keeps everything in lists."""

    can_edit = True
    width = 78

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.hints: list[str] = []
        self.remembered: list[str] = []
        self.input = ""
        self.is_closed = False

    @property
    def text(self) -> str:
        return plain(self.lines)

    def show(self, lines: Sequence[Line]) -> None:
        self.lines += lines

    def note(self, text: str) -> None:
        self.lines.append([("", text)])

    def hint(self, text: str) -> None:
        self.hints.append(text)

    def echo(self, text: str, prompt: str = "> ", *, once_saved: bool = False) -> None:
        if not once_saved:
            self.lines.append([("", f"{prompt}{text}")])

    def catch_up(self) -> None:
        pass

    def draft(self) -> str:
        return self.input

    def set_draft(self, text: str, *, remember: bool = False) -> None:
        if remember:
            self.remembered.append(self.input)
        self.input = text

    async def ask(self, question: Question) -> None:
        self.show(question.lines(self.width, 20)[0])
        question.is_open = True
        await question.answer

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
async def environment(tmp_path: Path) -> AsyncIterator[Environment]:
    async with Environment.open(make_env(tmp_path), llm=ScriptedLLM(["Yes.", "Again."]), environ={}) as opened:
        yield opened


@pytest.fixture
def chat(environment: Environment) -> Chat:
    return Chat(environment, environment["scout"], environment["scout"].session_manager.current())


@pytest.fixture
def view() -> ListView:
    return ListView()


@pytest.fixture
async def controller(chat: Chat, view: ListView) -> AsyncIterator[Controller]:
    defects: list[BaseException] = []
    tasks = BackgroundTasks(defects.append)
    with chat.environment.bus.subscribe() as events:
        controller = Controller(chat, view, tasks)

        async def follow() -> None:
            async for event in events:
                chat.handle(event)

        tasks.spawn(follow())
        yield controller
        await tasks.cancel()
    assert defects == []


async def type_(controller: Controller, view: ListView, text: str) -> None:
    """Type a line, send it, and wait until it has been handled."""
    view.input = text
    controller.submit(text)
    await controller.task.wait()


async def test_a_message_is_sent_and_remembered(controller: Controller, view: ListView, chat: Chat) -> None:
    await type_(controller, view, "Hello")
    assert [message["content"] for message in chat.session.history] == ["Hello", "Yes."]
    assert (view.input, view.remembered) == ("", ["Hello"])


async def test_a_message_with_two_slashes_begins_with_one(controller: Controller, view: ListView, chat: Chat) -> None:
    await type_(controller, view, "//help")
    assert chat.session.history[0]["content"] == "/help"


async def test_a_command_is_run_and_its_result_shown(controller: Controller, view: ListView, chat: Chat) -> None:
    await type_(controller, view, "/session rename Travels")
    assert chat.session.name == "Travels"
    assert "is now called Travels" in view.text
    await type_(controller, view, "/sesions")
    assert "Did you mean" in view.text


async def test_a_confirmation_is_answered_by_the_next_line(
    controller: Controller, view: ListView, chat: Chat
) -> None:
    for answer, deleted in (("", []), ("y", ["Default"])):
        await type_(controller, view, "/session delete")
        assert controller.prompt(view.width) == "[y/N] "
        await type_(controller, view, answer)
        assert [trashed.info.name for trashed in chat.po.session_manager.trash()] == deleted
    assert controller.confirmation is None


async def test_retry_answers_the_last_message_again(controller: Controller, view: ListView, chat: Chat) -> None:
    await type_(controller, view, "Hello")
    await type_(controller, view, "/retry")
    assert chat.session.history[-1]["content"] == "Again."


async def test_quit_closes_the_view(controller: Controller, view: ListView) -> None:
    await type_(controller, view, "/quit")
    assert view.is_closed


async def test_a_refused_message_leaves_the_input_free_for_a_command(
    controller: Controller, view: ListView, chat: Chat
) -> None:
    with Elsewhere(chat.environment.folder, chat.session.id):
        await type_(controller, view, "/" + "/slash")
        assert (view.input, view.remembered) == ("", ["//slash"])
        assert "/wait" in view.text
        assert "Up puts your message back into the input." in view.text
    await type_(controller, view, "/wait")
    assert [message["content"] for message in chat.session.history][-2:] == ["/slash", "Yes."]


async def test_leaving_during_an_answer_asks_first(controller: Controller, view: ListView) -> None:
    controller.submit("Hello")
    controller.leave()
    assert "Ctrl-D again" in view.hints[-1]
    assert not view.is_closed
    controller.leave()
    await controller.task.wait()
    assert view.is_closed


async def test_another_key_takes_the_wish_to_leave_back(controller: Controller, view: ListView) -> None:
    controller.submit("Hello")
    controller.leave()
    controller.submit("and more")
    view.input = ""
    controller.leave()
    await controller.task.wait()
    assert not view.is_closed


async def test_leaving_with_a_text_in_the_input_says_how(controller: Controller, view: ListView) -> None:
    view.input = "half a thought"
    controller.leave()
    assert view.hints[-1] == "Ctrl-C clears the input; then Ctrl-D leaves"
    assert not view.is_closed


async def test_exit_alone_asks(controller: Controller, view: ListView, chat: Chat) -> None:
    await type_(controller, view, "exit")
    assert "Do you mean /quit?" in view.text
    await type_(controller, view, "n")
    assert [message["content"] for message in chat.session.history] == ["exit", "Yes."]
    await type_(controller, view, "exit")
    await type_(controller, view, "y")
    assert view.is_closed


async def test_exit_during_an_answer_is_not_sent_to_the_model(controller: Controller, view: ListView) -> None:
    controller.submit("Hello")
    view.input = "exit"
    controller.submit("exit")
    assert "Not now" in view.hints[-1]
    assert view.input == "exit"
    await controller.task.wait()


async def test_the_last_exchange_is_not_repeated_while_it_is_on_the_screen(
    controller: Controller, view: ListView
) -> None:
    await type_(controller, view, "Hello")
    shown = len(view.lines)
    await type_(controller, view, "/session rename First")
    await type_(controller, view, "/new Second")
    await type_(controller, view, "/session switch First")
    await type_(controller, view, "/session delete")
    await type_(controller, view, "y")
    await type_(controller, view, "/undo")
    await type_(controller, view, "/session clear")
    await type_(controller, view, "/undo")
    assert "The end of" not in plain(view.lines[shown:])


async def test_an_approval_is_answered_in_the_input(controller: Controller, view: ListView) -> None:
    request = asyncio.create_task(controller.approve(APPROVAL))
    await asyncio.sleep(0)
    assert "scout wants to use send:" in view.text
    view.input = "perhaps"
    controller.submit(view.input)
    assert "y: once" in view.hints[-1]
    assert len(view.hints[-1]) < 80
    assert (view.input, view.remembered) == ("", ["perhaps"])
    controller.submit("e")
    assert "ann" in view.input
    view.input = '{"to": '
    controller.submit(view.input)
    assert (view.input, "not JSON" in view.hints[-1]) == ('{"to": ', True)
    controller.submit('{"to": "bob"}')
    decision = await request
    assert getattr(decision, "arguments", None) == {"to": "bob"}
    assert (view.input, controller.question) == ("", None)


async def test_a_long_question_is_shown_whole_on_request(controller: Controller, view: ListView) -> None:
    arguments = {"to": "".join(f"line {number}\n" for number in range(300))}
    request = asyncio.create_task(controller.approve(replace(APPROVAL, arguments=arguments)))
    await asyncio.sleep(0)
    assert "line 150" not in view.text
    controller.submit("v")
    assert "line 150" in view.text
    controller.submit("n")
    assert await request == "no"


async def test_a_path_answers_a_question_and_a_command_does_not(controller: Controller, view: ListView) -> None:
    request = asyncio.create_task(controller.ask(QUESTION))
    await asyncio.sleep(0)
    controller.submit("/objects")
    await controller.task.wait()
    assert "Prompt objects" in view.text
    controller.submit("/etc/hosts")
    assert await request == "/etc/hosts"


async def test_ctrl_c_clears_the_input_and_then_says_how_to_leave(controller: Controller, view: ListView) -> None:
    view.input = "half a thought"
    controller.interrupt()
    assert (view.input, view.remembered) == ("", ["half a thought"])
    controller.interrupt()
    assert view.hints[-1] == "Ctrl-D leaves"
    controller.leave()
    assert view.is_closed


async def test_a_wait_for_another_process_is_shown_and_ctrl_c_gives_up_the_command(
    controller: Controller, view: ListView, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "REPORT_SECONDS", 0.05)
    monkeypatch.setattr(waiting, "GRACE_SECONDS", 0.02)
    lock = os.open(chat.environment.data_dir / "sessions" / "index.json.lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with controller.reporting_waits():
        controller.submit("/session new Plans")
    while "Waiting for the lock of" not in view.text:  # noqa: ASYNC110 - the view has no event
        await asyncio.sleep(0.01)
    assert view.hints[-1] == "Ctrl-C gives up, Ctrl-D leaves"
    controller.interrupt()
    await controller.task.wait()
    assert "Gave up waiting for the lock of" in view.text
    os.close(lock)
    await type_(controller, view, "/session new Plans")
    assert chat.session.name == "Plans"
