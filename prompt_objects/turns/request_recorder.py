"""Records how one request was sent, for the answer to it."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from prompt_objects.llm.base import Adaptations, Request, RequestSent
from prompt_objects.llm.chat_api.adapt import adapt, encode
from prompt_objects.sessions.requests import RequestRecord
from prompt_objects.sessions.stores.frames import digest_of


class RequestRecorder:
    """The record of a request, as far as it is known.

    `frame` is the encoded frame of the request, whose options are `options`; `history` is the number of messages in
    the session, and `final` the text that follows them in this request only. `request` changes if the budget limits
    the response.
    """

    def __init__(
        self, request: Request, frame: bytes, *, options: dict[str, Any], history: int, final: str | None
    ) -> None:
        self.request = request
        self.frame = frame
        self._options = options
        self._history = history
        self._final = final
        self._sent: RequestSent | None = None

    def add(self, sent: RequestSent) -> None:
        """Record that the request is sent, again if it was sent before."""
        self._sent = sent

    def record(self, cost_if_cached: float | None = None) -> dict[str, Any]:
        """Return the record for the answer; if the client did not say what it sends, the usual form is assumed."""
        sent = self._sent
        if sent is None:
            usual = Adaptations()
            sent = RequestSent(digest_of(encode(adapt(self.request, usual))), usual)
        record = RequestRecord(
            frame=digest_of(self.frame),
            sha256=sent.sha256,
            history=self._history,
            options=_own_options(self.request, self._options),
            final=self._final,
            adaptations=_needed_server(self.request, sent.adaptations),
            cost_if_cached=cost_if_cached,
        )
        fields: dict[str, Any] = msgspec.to_builtins(record)
        return {key: value for key, value in fields.items() if value != {}}


def _needed_server(request: Request, adaptations: Adaptations) -> Adaptations:
    """Return adaptations without the address of the server, unless extra fields were returned to it."""
    is_needed = any(extra["server"] == adaptations.server for extras in request.extra.values() for extra in extras)
    return adaptations if is_needed else replace(adaptations, server="")


def _own_options(request: Request, frame: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that only this request has."""
    return {key: value for key, value in request.options.items() if frame.get(key) != value}
