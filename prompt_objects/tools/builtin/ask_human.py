"""`ask_human`: asks the user a question during a turn."""

from typing import Annotated

from msgspec import Meta

from prompt_objects.errors import ToolError
from prompt_objects.runtime.asking import ask_question
from prompt_objects.runtime.context import Context
from prompt_objects.tools.decorator import tool

NOT_ANSWERED = "The user did not answer. Continue with what you have, and state what you assumed."


@tool
async def ask_human(
    question: Annotated[str, Meta(min_length=1, max_length=4000, description="One complete question")],
    choices: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...],
        Meta(max_length=20, description="Suggested answers; the user may still type another one"),
    ] = (),
    *,
    context: Context,
) -> str:
    """Ask the user a question and wait for the answer. Ask only if you cannot find or decide the answer yourself."""
    if not question.strip():
        raise ToolError("The question is empty.")
    handler = context.services.interaction.handler
    if handler is None:
        raise ToolError("No user can be asked here. Continue with what you have, and state what you assumed.")
    async with context.services.interaction.exclusive(context.budget):
        return await ask_question(handler, question.strip(), choices, context) or NOT_ANSWERED
