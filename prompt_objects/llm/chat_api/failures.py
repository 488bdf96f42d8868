"""Facts about a failed request: its causes, the body of the error, and how long to wait."""

import json
import math
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from prompt_objects.errors import LLMError
from prompt_objects.llm.chat_api.server_errors import codes_in, sentence_in
from prompt_objects.utils.resources import exhaustion

if TYPE_CHECKING:
    import openai

_UNREACHABLE_REASONS = {
    ConnectionRefusedError: "the connection was refused",
    socket.gaierror: "the host name cannot be resolved",
    ssl.SSLError: "the TLS connection failed",
}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds a server requires to wait, None if it gives no time."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - time.time())
    except (ValueError, OverflowError, OSError):
        return None


def error_body(error: "openai.APIError") -> object:
    """Return the whole body of an error; the client's own attribute leaves out what stands beside `error`."""
    response = getattr(error, "response", None)
    try:
        return error.body if response is None else json.loads(response.text)
    except (ValueError, RecursionError):
        return error.body


def words_of(error: LLMError) -> str:
    """Return the codes and the complete text of the server's error that caused an error."""
    body = next((error_body(cause) for cause in cause_chain(error) if hasattr(cause, "body")), None)  # type: ignore[arg-type]
    return f"{codes_in(body)} {sentence_in(body)}"


def cause_chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def unreachable_reason(error: BaseException) -> str:
    """Return why a server cannot be reached, by the causes of an error."""
    if missing := exhaustion(error):
        return missing
    found = list(cause_chain(error))
    for kind, reason in _UNREACHABLE_REASONS.items():
        if any(isinstance(cause, kind) for cause in found):
            return reason
    names = " ".join(type(cause).__name__ for cause in found)
    if "ConnectTimeout" in names:
        return "the connection timed out"
    if "Timeout" in names:
        return "the response timed out"
    return "the connection failed" if "ConnectError" in names else "it closed the connection without a response"
