"""Learns from refusals in which form a server accepts requests.

A request is first sent in the usual form. If the server refuses it with known words, the request is adapted and sent
again, and all later requests to this server are adapted in the same way. So a server that does not know a parameter
works, and a history that a server refuses does not make its session unusable.
"""

import re
from weakref import WeakValueDictionary

from msgspec.structs import replace

from prompt_objects.llm.base import Adaptations, Request
from prompt_objects.llm.chat_api.adapt import adapt
from prompt_objects.llm.chat_api.extra_fields import fields_sent
from prompt_objects.llm.chat_api.repairs import REPAIRS

_MAX_REFUSED_FIELDS = 20
_UNKNOWN = re.compile(
    r"(?i)unsupported|not supported|n't support|not support|unknown|unrecogni[sz]ed|unexpected|extra_forbidden|"
    r"extra inputs|not permitted|not allowed|no such|invalid (parameter|argument|field)"
)


def learn(refusal: str, request: Request, adaptations: Adaptations) -> tuple[Adaptations, list[str]]:
    """Return the adaptations of a server after the words of a refusal, and notices for the user.

    A repair without an effect on the request is not added. Of several repairs of messages that fit the words, one at
    a time is tried.
    """
    notices: list[str] = []
    is_unknown = bool(_UNKNOWN.search(refusal))
    body = adapt(request, adaptations)
    fields = {field for message in body["messages"] for field in fields_sent(message)}
    for name, repair in REPAIRS.items():
        is_about = re.search(repair.pattern, refusal, re.IGNORECASE | re.DOTALL)
        if not is_about or (repair.is_parameter and not is_unknown) or name in adaptations.repairs:
            continue
        repaired = replace(adaptations, repairs=(*adaptations.repairs, name))
        before, body = body, adapt(request, repaired)
        if body != before:
            adaptations = repaired
            notices += [repair.notice] if repair.notice else []
            if body["messages"] != before["messages"]:
                break
    if is_unknown:
        refused = dict.fromkeys([*adaptations.refused_fields, *sorted(field for field in fields if field in refusal)])
        adaptations = replace(adaptations, refused_fields=tuple(refused)[:_MAX_REFUSED_FIELDS])
    return adaptations, notices


class Dialect:
    """The adaptations that one server needs, as far as they are known; shared by all connections to it."""

    def __init__(self, server: str) -> None:
        self.adaptations = Adaptations(server)


_dialects: WeakValueDictionary[str, Dialect] = WeakValueDictionary()


def dialect_of(base_url: str, server: str) -> Dialect:
    """Return what is known about a server, as long as there is a connection to it."""
    return _dialects.setdefault(base_url, Dialect(server))
