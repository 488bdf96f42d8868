"""Turns that a test runs with resources of its own."""

from prompt_objects.environment.environment import Environment
from prompt_objects.llm.base import LLM
from prompt_objects.llm.connection import ModelConnection
from prompt_objects.llm.fallback import FallbackChain
from prompt_objects.runtime.context import Context
from prompt_objects.sessions.session import Session
from prompt_objects.tools.base import Tool
from prompt_objects.turns.reply import Reply
from prompt_objects.turns.turn import Turn


class GivenResources:
    """One model and some tools, independent of the definition."""

    def __init__(self, llm: LLM, tools: list[Tool]) -> None:
        self._llm = llm
        self._tools = tools

    async def load(self, _context: Context) -> tuple[FallbackChain, dict[str, Tool]]:
        return FallbackChain(ModelConnection(self._llm, "a test's")), {tool.name: tool for tool in self._tools}


async def turn_with(env: Environment, tools: list[Tool], session: Session, llm: LLM) -> Reply:
    """Run a turn of the scout with tools of our own."""
    po = env["scout"]
    context = env.context().enter(po.definition, session)
    resources = GivenResources(llm, tools)
    turn = Turn(po.definition, context, session, po.session_manager, resources)
    return await turn.run({"role": "user", "content": "Go"})
