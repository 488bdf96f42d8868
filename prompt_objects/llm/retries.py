"""Whether a request that was refused is worth sending again, and when."""

import random
from http import HTTPStatus
from typing import Any

from prompt_objects.errors import LLMError, RateLimited, ServerFailed, Unreachable
from prompt_objects.llm.failures import causes, retry_after

__all__ = ["LONGEST_PAUSE", "USUAL_RETRIES", "pause_after"]

USUAL_RETRIES = 3
LONGEST_PAUSE = 30.0  # seconds; a server that asks for more is not waited for: the person is told

_FIRST_PAUSE = 0.5
_JITTER = 0.25  # at most so much longer, lest those who were refused together come back together
_CUTS = {"ConnectError", "ReadError", "WriteError", "CloseError", "RemoteProtocolError"}  # httpx2's
_PASSING_STATUS = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT)  # as openai's own client sees it


def pause_after(error: LLMError, retry: int) -> float | None:
    """Return the seconds to wait before the retry of that number, counted from 0; None where it would be in vain.

    What a server asks for is obeyed, and without that each pause is twice the one before. Who waited in silence until
    the time was up is not made to wait again.
    """
    response = _response(error)
    if not _is_passing(error, response):
        return None
    asked = retry_after(response.headers) if response is not None else None
    if asked is not None and asked > LONGEST_PAUSE:
        return None
    pause = _FIRST_PAUSE * 2**retry if asked is None else asked
    return min(LONGEST_PAUSE, pause * random.uniform(1, 1 + _JITTER))  # noqa: S311 - nobody gains by guessing it


def _is_passing(error: LLMError, response: Any) -> bool:
    if response is not None and (word := response.headers.get("x-should-retry")) in {"true", "false"}:
        return bool(word == "true")
    if response is not None and response.status_code in _PASSING_STATUS:
        return True
    return isinstance(error, RateLimited | ServerFailed) or (isinstance(error, Unreachable) and _was_cut(error))


def _response(error: LLMError) -> Any:
    """Return the httpx2.Response that refused, if one did."""
    return next((found for cause in causes(error) if (found := getattr(cause, "response", None)) is not None), None)


def _was_cut(error: Unreachable) -> bool:
    return any(type(cause).__name__ in _CUTS for cause in causes(error))
