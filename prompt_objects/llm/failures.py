"""Failed requests: mapping to errors of this package, and retries."""

import json
import math
import random
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from prompt_objects.errors import (
    BrokenStream,
    ContextTooLong,
    LLMError,
    RateLimited,
    RegionNotSupported,
    ServerFailed,
    StillLoading,
    Unauthorized,
    UnknownModel,
    Unreachable,
)
from prompt_objects.llm.server_errors import codes_in, kind_of_error, sentence_in
from prompt_objects.utils.resources import exhaustion

if TYPE_CHECKING:
    import openai


_TEXT_LIMIT = 300  # characters of a server's message
_NO_QUOTA = re.compile(r"(?i)insufficient.?(quota|balance|credit|funds)|exceeded your current quota")
_NO_TOOLS = re.compile(
    r"(?i)(not|n't) support.{0,20}\btools?\b|\btools?\b.{0,40}not supported|--jinja|no endpoints.{0,20}support tool"
)
_WRONG_KEY = re.compile(r"(?i)api.?key (is )?(not valid|invalid)|(invalid|incorrect) api.?key|invalid_api_key")
_KEY_START = 8  # characters by which a part of the key is recognised in a text
_UNREACHABLE_REASONS = {
    ConnectionRefusedError: "the connection was refused",
    socket.gaierror: "the host name cannot be resolved",
    ssl.SSLError: "the TLS connection failed",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model and its server; turns failures into errors that never contain the key."""

    model: str
    base_url: str
    key_name: str = ""
    api_key: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.model} at {self.server}"

    @property
    def server(self) -> str:
        """The address without its path, which may be secret."""
        return display_url(self.base_url)

    def url(self, path: str) -> str:
        """Return the URL of a resource of the API; a query in the base URL stays at the end."""
        parts = urlsplit(self.base_url)
        return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{path}", fragment=""))

    def missing_key_error(self) -> Unauthorized:
        hint = f"Set {self.key_name} in the environment, or choose another model."
        return Unauthorized(f"{self}: no key is set.", hint=hint)

    def invalid_key_error(self) -> Unauthorized:
        hint = f"Check {self.key_name or 'the key'}: it may contain extra characters."
        return Unauthorized(f"{self}: the key contains invalid characters.", hint=hint)

    def connection_error(self, error: BaseException) -> Unreachable:
        hint = "Is the server running, and is its address right?"
        return Unreachable(f"{self} cannot be reached: {_unreachable_reason(error)}.", hint=hint)

    def configuration_error(self, reason: str, hint: str) -> Unreachable:
        return Unreachable(f"{self} cannot be reached: {reason}.", hint=hint)

    def broken_stream_error(
        self, problem: str, hint: str = "The text received so far is kept. Send the message again."
    ) -> BrokenStream:
        """Return the error for an incomplete response; `problem` completes the sentence "SERVER …"."""
        return BrokenStream(f"{self} {problem}.", hint=hint)

    def interrupted_error(self, error: BaseException) -> BrokenStream:
        timed_out = any("Timeout" in type(cause).__name__ for cause in cause_chain(error))
        problem = "sent nothing for too long" if timed_out else "ended in the middle of the response"
        return self.broken_stream_error(problem)

    def server_error(self, error: "openai.APIError") -> LLMError:
        """Convert an error that the server sent, as a status or inside the stream."""
        response, body = getattr(error, "response", None), error_body(error)
        codes = codes_in(body)
        status = response.status_code if response is not None else _status_from_codes(codes)
        if response is not None and "location" in response.headers:
            return self._redirect_error(response.headers["location"])
        wait = retry_after(response.headers) if response is not None else None
        text = self.clean(sentence_in(body) or error.message)
        return self._classify(status, f"{codes} {text}", text, wait)

    def _classify(self, status: int, words: str, text: str, wait: float | None) -> LLMError:
        is_rate_limit = status == HTTPStatus.TOO_MANY_REQUESTS or "rate_limit" in words
        kind = None if is_rate_limit else kind_of_error(words)
        if refusal := self._access_error(status, kind, words, text) or self._refusal_error(status, kind, text):
            return refusal
        if is_rate_limit:
            hint = "Try again later." if wait is None else f"Try again in {math.ceil(wait)} seconds."
            return RateLimited(f"{self} refused the request (rate limit): {text}", retry_after=wait, hint=hint)
        if status == HTTPStatus.SERVICE_UNAVAILABLE and kind is StillLoading:
            return StillLoading(f"{self} is still loading its model.", hint="Try again later.")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or not status:
            return ServerFailed(f"{self} failed: {text}", hint="Try again later.")
        return LLMError(f"{self} refused the request ({status}): {text}")

    def _access_error(self, status: int, kind: type[LLMError] | None, words: str, text: str) -> LLMError | None:
        """Return the error if the user has no access to the server or the model, otherwise None."""
        if kind is RegionNotSupported:
            return RegionNotSupported(f"{self} is not offered in your region: {text}")
        if status == HTTPStatus.UNAUTHORIZED or _WRONG_KEY.search(words):
            return self._unauthorized_error(status, "is missing, or wrong", text)
        if status == HTTPStatus.FORBIDDEN and kind is None:
            return self._unauthorized_error(status, "is not allowed to do this", text)
        if status == HTTPStatus.PAYMENT_REQUIRED or _NO_QUOTA.search(words):
            hint = "Waiting will not help: check the plan and billing of this account."
            return Unauthorized(f"{self}: the account has no quota left: {text}", hint=hint)
        return None

    def _refusal_error(self, status: int, kind: type[LLMError] | None, text: str) -> LLMError | None:
        """Return the error if the request does not fit the model, otherwise None."""
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or kind is ContextTooLong:
            hint = "Start a new session, or use a model with a larger context window."
            return ContextTooLong(f"The conversation is too long for {self}: {text}", hint=hint)
        if _NO_TOOLS.search(text):
            hint = "Choose another model, or remove the capabilities from the prompt object's file."
            return LLMError(f"{self} cannot use capabilities: {text}", hint=hint)
        if status == HTTPStatus.NOT_FOUND or kind is UnknownModel:
            return UnknownModel(f"{self}: there is no such model: {text}")
        return None

    def _redirect_error(self, location: str) -> LLMError:
        """Return the error for a redirection: sending the conversation elsewhere is the user's decision."""
        try:
            target = self.clean(display_url(urljoin(self.base_url, location)))
        except ValueError:
            target = "an invalid address"
        hint = "If that server is right, set its address in OPENAI_BASE_URL, or base_url."
        return LLMError(f"{self} redirects to {target}, which is not followed.", hint=hint)

    def _unauthorized_error(self, status: int, reason: str, text: str) -> Unauthorized:
        hint = f"Check {self.key_name}." if self.key_name else "Set api_key_env for this model in environment.yaml."
        key = f"the key from {self.key_name}" if self.key_name and self.api_key else "the key"
        return Unauthorized(f"{self}: {key} {reason} ({status}): {text}", hint=hint)

    def clean(self, text: str) -> str:
        """Return a server's text as one short printable line without the key."""
        text = text[: 20 * _TEXT_LIMIT]
        text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
        text = self._without_key(text)
        return text if len(text) <= _TEXT_LIMIT else text[: _TEXT_LIMIT - 1] + "…"

    def _without_key(self, text: str) -> str:
        """Replace the key, and words with a part of it: servers quote keys with some characters hidden."""
        if not self.api_key:
            return text
        text = re.sub(re.escape(self.api_key), "…", text, flags=re.IGNORECASE)
        start = self.api_key[:_KEY_START].lower() if len(self.api_key) > _KEY_START else "***"
        return " ".join("…" if "***" in word or start in word.lower() else word for word in text.split(" "))


def display_url(url: str) -> str:
    """Return scheme, host and port of a URL; the rest, including the path, may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


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


def _status_from_codes(codes: str) -> int:
    """Return the status among the codes of an error inside a stream, 0 if there is none."""
    match = re.search(r"\b[45]\d\d\b", codes)
    return int(match[0]) if match else 0


def cause_chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _unreachable_reason(error: BaseException) -> str:
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
