"""A user whose answers are functions of the test."""

from collections.abc import Awaitable, Callable

from prompt_objects.runtime.interaction import ApprovalRequest, Decision, InputRequest

__all__ = ["Answers"]


class Answers:
    """An `InteractionHandler` that refuses every call and answers no question, unless functions do otherwise."""

    def __init__(
        self,
        approve: Callable[[ApprovalRequest], Awaitable[Decision]] | None = None,
        ask: Callable[[InputRequest], Awaitable[str | None]] | None = None,
    ) -> None:
        self._approve = approve
        self._ask = ask

    async def approve(self, request: ApprovalRequest) -> Decision:
        return await self._approve(request) if self._approve else "no"

    async def ask(self, request: InputRequest) -> str | None:
        return await self._ask(request) if self._ask else None
