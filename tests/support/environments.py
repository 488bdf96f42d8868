"""Small environments for tests."""

from collections import deque
from collections.abc import Iterable
from pathlib import Path

from prompt_objects.environment.environment import Environment
from prompt_objects.errors import LLMError
from prompt_objects.llm.base import LLM, Request
from prompt_objects.message import Message
from prompt_objects.testing import Scripted, ScriptedLLM
from prompt_objects.tools.base import Tool

OBJECTS = {
    "boss": "name: boss\ndescription: Asks\ncapabilities: [helper, scout, read_file]\nprompt: You ask others.\n",
    "helper": "name: helper\ndescription: Helps\ncapabilities: [boss, scout]\nprompt: You help.\n",
    "scout": "name: scout\ndescription: Looks\ncapabilities: [list_files]\nprompt: You look.\n",
}


def make_env(folder: Path, objects: dict[str, str] = OBJECTS) -> Path:
    """Write an environment into `folder`."""
    (folder / "objects").mkdir(parents=True)
    for name, text in objects.items():
        (folder / "objects" / f"{name}.yaml").write_text(text)
    return folder


def open_env(folder: Path, llm: LLM, objects: dict[str, str] = OBJECTS, tools: Iterable[Tool] = ()) -> Environment:
    """Write an environment and open it with a model for everything."""
    return Environment.open(make_env(folder, objects), llm=llm, tools=tools, environ={})


def llm_by_name(**scripts: Iterable[Scripted]) -> ScriptedLLM:
    """Return a model with a script for each prompt object by name; it recognizes them by their prompts."""
    replies = {name: deque(script) for name, script in scripts.items()}

    def reply(request: Request) -> str | Message | LLMError:
        (name,) = (name for name in replies if request.messages[0]["content"] == f"You are {name}.")
        answer = replies[name].popleft()
        return answer(request) if callable(answer) else answer

    return ScriptedLLM([reply] * sum(map(len, replies.values())))
