"""The patterns of `allow`: the values of an argument with which a call needs no approval.

A pattern is compared with the parts of a parsed value: a path by its names, a URL by its scheme, host, port, path and
query, a command by its words. Text that cannot be parsed exactly never matches, so the user is asked.
"""

import re
import string
from functools import lru_cache
from typing import Protocol

from prompt_objects.config.argument_kind import ArgumentKind
from prompt_objects.config.glob import Glob


class Pattern(Protocol):
    """A pattern for the values of one argument. `problem` says why it matches nothing; it is empty otherwise."""

    problem: str

    def matches(self, value: str) -> bool:
        """Return whether a value matches; a path is given in its resolved form."""

    def describe(self) -> str:
        """Describe the matching values in words."""


@lru_cache(1024)
def parse_pattern(text: str, kind: ArgumentKind) -> Pattern:
    """Parse a pattern for an argument of a kind."""
    match kind:
        case "path":
            return _PathPattern(text)
        case "url":
            return _UrlPattern(text)
        case "command":
            return _CommandPattern(text)
        case "text":
            return _TextPattern(text)


class _TextPattern:
    problem = ""

    def __init__(self, text: str) -> None:
        self._text = text
        self._glob = Glob(text)

    def matches(self, value: str) -> bool:
        return self._glob.matches(value)

    def describe(self) -> str:
        if self._glob.is_literal:
            return f"exactly {self._text}"
        if self._text == "**":
            return "any text"
        return f"a text that matches {self._text}, where * does not match /"


class _PathPattern:
    def __init__(self, text: str) -> None:
        self._text = text
        normal = text.removeprefix("./")
        self._glob = Glob(normal)
        names = normal.removeprefix("/").split("/")
        self.problem = ""
        if ".." in names or "." in names:
            self.problem = "a path is compared after . and .. are resolved"
        elif "" in names:
            self.problem = f"a path has no empty names; for everything below a folder, write {normal.rstrip('/')}/**"

    def matches(self, value: str) -> bool:
        return not self.problem and self._glob.matches(value)

    def describe(self) -> str:
        folder, _, name = self._text.removeprefix("./").rpartition("/")
        place = f"{folder}/" if folder else "/" if self._text.startswith("/") else "the environment's folder"
        if self._glob.is_literal:
            return f"exactly {self._text}"
        if Glob(folder).is_literal and name == "*":
            return f"anything directly in {place}"
        if Glob(folder).is_literal and name == "**":
            return f"anything in {place} and its subfolders"
        crossing = ", and ** for any folders" if "**" in self._text else ""
        return f"a path that matches {self._text}, with * for part of one name{crossing}"


_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?(?:#.*)?",
    re.IGNORECASE | re.ASCII,
)
_URL_PATTERN = re.compile(
    r"(?P<scheme>[a-z*][a-z0-9+.*-]*)://(?P<host>[a-z0-9_*.-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}|\*))?"
    r"(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?",
    re.IGNORECASE | re.ASCII,
)
_URL_CHARACTERS = frozenset(string.ascii_letters + string.digits + "-._~:/?#[]@!$&'()*+,;=%")
_AMBIGUOUS = re.compile(r"%(?:2e|2f|5c|00)|/\.{1,2}(?=[/;?#]|$)", re.IGNORECASE)
"""Encoded dots and slashes, and names . and ..: servers read them differently."""
_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443", "ftp": "21"}


class _UrlPattern:
    def __init__(self, text: str) -> None:
        parsed = _URL_PATTERN.fullmatch(text)
        self.problem = "" if parsed else "a pattern for URLs looks like https://HOST/**"
        parts = parsed.groupdict() if parsed else {}
        self._scheme = (parts.get("scheme") or "").lower()
        self._host = (parts.get("host") or "").lower()
        self._port: str | None = parts.get("port")
        self._path = parts.get("path") or "/"
        self._query: str | None = parts.get("query")

    def matches(self, value: str) -> bool:
        parsed = _URL.fullmatch(value) if set(value) <= _URL_CHARACTERS else None
        if self.problem or not parsed or _AMBIGUOUS.search(value):
            return False
        scheme = parsed["scheme"].lower()
        default = _PORTS.get(scheme)
        port = self._port or default
        return (
            Glob(self._scheme, has_sets=False).matches(scheme)
            and Glob(self._host, ".", "", has_sets=False).matches(parsed["host"].lower().removesuffix("."))
            and (port == "*" or _number(port) == _number(parsed["port"] or default))
            and Glob(self._path, has_sets=False).matches(parsed["path"] or "/")
            and self._matches_query(parsed["query"])
        )

    def _matches_query(self, query: str | None) -> bool:
        if self._query is None or query is None:
            return query is None and self._query in {None, "**"}
        return Glob(self._query, "&", "", has_sets=False).matches(query)

    def describe(self) -> str:
        scheme = "a URL" if self._scheme == "*" else f"a URL with the scheme {self._scheme}"
        ports = {None: _PORTS.get(self._scheme, "the usual one of the scheme"), "*": "any"}
        host = "any host" if self._host == "**" else f"the host {self._host}"
        query = "no query" if self._query is None else f"the query {self._query}"
        query = "any query or none" if self._query == "**" else query
        return f"{scheme}, {host}, the port {ports.get(self._port, self._port)}, {self._describe_path()} and {query}"

    def _describe_path(self) -> str:
        folder, _, name = self._path.rpartition("/")
        if Glob(folder).is_literal and name in {"*", "**"}:
            return f"a path {'directly ' if name == '*' else ''}below {folder}/"
        return f"the path {self._path}"


def _number(port: str | None) -> int | None:
    return None if port is None else int(port)


_PLAIN_WORD = re.compile(r"[A-Za-z0-9_@%+=:,./-]+", re.ASCII)
"""A word that shells take as it is."""
_ANY_WORDS = "**"


class _CommandPattern:
    def __init__(self, text: str) -> None:
        self._words = text.split()
        self.problem = ""
        if _ANY_WORDS in self._words[:-1]:
            self.problem = "in a command, ** for any words stands at the end"

    def matches(self, value: str) -> bool:
        given = value.split(" ")
        fixed = self._words[:-1] if self._words[-1:] == [_ANY_WORDS] else self._words
        if self.problem or not all(map(_PLAIN_WORD.fullmatch, given)):
            return False
        if len(given) < len(fixed) or (fixed == self._words and len(given) > len(fixed)):
            return False
        return all(Glob(word, guarded=".-").matches(part) for word, part in zip(fixed, given, strict=False))

    def describe(self) -> str:
        fixed = self._words[:-1] if self._words[-1:] == [_ANY_WORDS] else self._words
        more = " and any further words" if fixed != self._words else ""
        if all(Glob(word).is_literal for word in fixed):
            return f"the command {' '.join(fixed)}{more}" if fixed else "any command of plain words"
        return f"a command that matches {' '.join(fixed)}{more}, with * for part of one word and no /"
