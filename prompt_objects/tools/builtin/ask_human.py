"""`ask_human`: a question to the person, in the middle of the work."""

from typing import Annotated

from msgspec import Meta

from prompt_objects.errors import ToolError
from prompt_objects.runtime.context import Context
from prompt_objects.runtime.interaction import InputRequest
from prompt_objects.tools.decorator import tool

__all__ = [
    "ask_human",
]

NOT_ANSWERED = "The person did not answer. Go on with what you have, and say what you assumed."


@tool
async def ask_human(
    question: Annotated[str, Meta(min_length=1, max_length=4000, description="One question, complete in itself")],
    choices: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...],
        Meta(max_length=20, description="Answers to choose from; the person may still say something else"),
    ] = (),
    *,
    context: Context,
) -> str:
    """Ask the person for whom all this is done, and wait for the answer. Ask what nobody else can know or decide."""
    if not question.strip():
        raise ToolError("The question is empty.")
    handler = context.services.interaction.handler
    if handler is None:
        raise ToolError("Nobody can be asked here. Go on with what you have, and say what you assumed.")
    request = InputRequest(
        path=context.path, session_id=context.session_id or "", question=question.strip(), choices=choices
    )
    async with context.services.interaction.exclusive(context.budget):
        typed = await handler.ask(request)
    return request.resolve(typed or "") or NOT_ANSWERED
