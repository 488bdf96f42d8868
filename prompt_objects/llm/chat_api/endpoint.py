"""A model at a server: its addresses, and the errors for its failures."""

import math
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING
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
from prompt_objects.llm.chat_api.failures import cause_chain, error_body, retry_after, unreachable_reason
from prompt_objects.llm.chat_api.server_errors import codes_in, kind_of_error, sentence_in

if TYPE_CHECKING:
    import openai


_TEXT_LIMIT = 300  # characters of a server's message
_NO_QUOTA = re.compile(r"(?i)insufficient.?(quota|balance|credit|funds)|exceeded your current quota")
_NO_TOOLS = re.compile(
    r"(?i)(not|n't) support.{0,20}\btools?\b|\btools?\b.{0,40}not supported|--jinja|no endpoints.{0,20}support tool"
)
_WRONG_KEY = re.compile(r"(?i)api.?key (is )?(not valid|invalid)|(invalid|incorrect) api.?key|invalid_api_key")
_KEY_START = 8  # characters by which a part of the key is recognized in a text


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
        return Unreachable(f"{self} cannot be reached: {unreachable_reason(error)}.", hint=hint)

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


def _status_from_codes(codes: str) -> int:
    """Return the status among the codes of an error inside a stream, 0 if there is none."""
    match = re.search(r"\b[45]\d\d\b", codes)
    return int(match[0]) if match else 0
