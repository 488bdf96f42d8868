"""Retries of failed requests: which, and after how long."""

import random
from http import HTTPStatus
from typing import Any

from prompt_objects.errors import LLMError, RateLimited, ServerFailed, StillLoading, Unreachable
from prompt_objects.llm.chat_api.failures import cause_chain, retry_after

DEFAULT_RETRIES = 3
LOADING_DELAY = 2.0
MAX_LOADING_SECONDS = 600.0
MAX_RETRY_DELAY = 30.0  # seconds; if a server asks for more, the user decides
_FIRST_DELAY = 0.5
_JITTER = 0.25  # spreads the retries of requests that failed together
_DISCONNECTS = {"ConnectError", "ReadError", "WriteError", "CloseError", "RemoteProtocolError"}  # httpx2's
_TEMPORARY_STATUS = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT)  # as in the openai client


def retry_delay(error: LLMError, retry: int, waited: float = 0) -> float | None:
    """Return the seconds to wait before a retry, counted from 0; None if a retry would not help.

    It is the server's `Retry-After`; without one, each delay is twice the previous one. A request that timed out is
    not retried. A server that loads its model is asked again until the user has `waited` for 10 minutes.
    """
    if isinstance(error, StillLoading):
        return LOADING_DELAY if waited < MAX_LOADING_SECONDS else None
    response = _response(error)
    if not _is_temporary(error, response):
        return None
    asked = retry_after(response.headers) if response is not None else None
    if asked is not None and asked > MAX_RETRY_DELAY:
        return None
    pause = _FIRST_DELAY * 2**retry if asked is None else asked
    return min(MAX_RETRY_DELAY, pause * random.uniform(1, 1 + _JITTER))  # noqa: S311 - not used for security


def _is_temporary(error: LLMError, response: Any) -> bool:
    if response is not None and (word := response.headers.get("x-should-retry")) in {"true", "false"}:
        return bool(word == "true")
    if response is not None and response.status_code in _TEMPORARY_STATUS:
        return True
    if isinstance(error, Unreachable):
        return any(type(cause).__name__ in _DISCONNECTS for cause in cause_chain(error))
    return isinstance(error, RateLimited | ServerFailed)


def _response(error: LLMError) -> Any:
    return next(
        (found for cause in cause_chain(error) if (found := getattr(cause, "response", None)) is not None), None
    )
