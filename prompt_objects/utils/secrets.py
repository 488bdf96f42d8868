"""Removes passwords and keys from texts that are shown or sent: errors, tracebacks, results of failed calls."""

import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, unquote

HIDDEN = "***"
_MIN_LENGTH = 8
"""Shorter values of variables are ordinary words more often than secrets."""
_SECRET_NAME = re.compile(
    r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|(?:^|_)(?:PASS|PWD|PAT|AUTH)(?:_|$)", re.IGNORECASE
)
_IN_URL = re.compile(r"([A-Za-z][\w+.-]*:/{0,3}[^\s/?#:@'\"]*:)(?!\d+/)[^\s'\"]+(?=@)")
"""A user name and a password before the last @, also of a URL with a typing error."""
_USER = re.compile(r"\b([A-Za-z][\w.+-]*:)(?!\d+\b)[^\s/'\"@:]+(?=@[\w\[])")
"""The same without a scheme: `ann:password@host`."""
_NAMED = re.compile(
    r"\b((?:api[_-]?key|access[_-]?token|auth[_-]?token|token|secret|(?:ssl)?password|passwd|pwd)=)[^&\s'\",;)]+",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(Bearer\s+)[\w.~+/=-]{8,}", re.IGNORECASE)
_KEY = re.compile(r"\b(sk-|sk_|gsk_|hf_|ghp_|gho_|ghs_|github_pat_|glpat-|xox[a-z]-|AIza|AKIA)[\w-]{12,}")
"""Keys that can be recognized by their beginning."""


def hide_secrets(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the text with `***` in place of passwords and keys, also of those in variables with a telling name."""
    for value in sorted(_secrets(environ), key=len, reverse=True):
        if value in text:
            text = text.replace(value, HIDDEN)
    for pattern in (_IN_URL, _USER, _NAMED, _BEARER, _KEY):
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


def _secrets(environ: Mapping[str, str]) -> set[str]:
    """Return the secret values of variables, in all forms in which they may be written."""
    values = [value for name, value in environ.items() if _SECRET_NAME.search(name) and not value.startswith("/")]
    values += [password for value in environ.values() for password in _passwords(value)]
    return {form for value in values if len(value) >= _MIN_LENGTH for form in _forms(value)}


def _passwords(url: str) -> Iterator[str]:
    """Yield the password in a URL, if it is one."""
    _, slashes, rest = url.partition("://")
    user, _, password = rest.rpartition("@")[0].partition(":")
    if slashes and password and "/" not in user:
        yield password
        yield unquote(password)


def _forms(value: str) -> set[str]:
    return {value, quote(value), quote(value, safe=""), repr(value)[1:-1]}
