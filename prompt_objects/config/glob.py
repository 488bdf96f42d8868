"""Patterns with `*`, which stays within a part of a text, and `**`, which crosses parts."""

import re
from collections.abc import Iterator
from typing import Literal, TypeAlias

from msgspec import Struct

MAX_LENGTH = 10_000
"""Characters of a text that is compared; a longer one never matches."""
_SET = re.compile(r"\[(!?[^/][^]/]*)\]")
_Kind: TypeAlias = Literal["?", "*", "**", "folders"]


class _Wildcard(Struct, frozen=True):
    """A wildcard: `?` with an optional set of characters, `*`, `**`, or `folders`: `**/` at the start of a part."""

    kind: _Kind
    ranges: tuple[tuple[str, str], ...] = ()
    is_negated: bool = False

    def has(self, character: str) -> bool:
        """Return whether the set, if there is one, has a character."""
        is_member = any(first <= character <= last for first, last in self.ranges)
        return not self.ranges or is_member is not self.is_negated


_Token: TypeAlias = str | _Wildcard


class Glob:
    """A pattern for texts whose parts, such as the names in a path, are separated by `separator`.

    `*` is any characters of one part, `**` any characters, and `**/` any number of whole parts. With `has_sets`, `?`
    is one character, and `[a-z]` one of a set. No wildcard matches one of `guarded` at the start of a part: with
    `.`, it matches no hidden file and no `..`.
    """

    def __init__(self, pattern: str, separator: str = "/", guarded: str = ".", *, has_sets: bool = True) -> None:
        self._separator = separator
        self._guarded = guarded
        self._tokens = tuple(_parse(pattern, separator, has_sets=has_sets))

    @property
    def is_literal(self) -> bool:
        return all(isinstance(token, str) for token in self._tokens)

    def matches(self, text: str) -> bool:
        """Return whether the whole text matches. The time is bounded, whatever the pattern is."""
        if len(text) > MAX_LENGTH:
            return False
        states = self._with_skips({0}, is_start=True)
        before = self._separator
        for character in text:
            is_start = before == self._separator
            reached = {next_ for state in states for next_ in self._after(state, character, is_start=is_start)}
            states = self._with_skips(reached, is_start=character == self._separator)
            before = character
        return len(self._tokens) in states

    def _after(self, state: int, character: str, *, is_start: bool) -> Iterator[int]:
        """Yield the state after a character: the next one, or the same if a wildcard may match more."""
        token = self._tokens[state] if state < len(self._tokens) else ""
        if is_start and character in self._guarded and not self._starts_part(state):
            return
        if isinstance(token, str):
            if character == token:
                yield state + 1
        elif token.kind in {"**", "folders"}:
            yield state
        elif character != self._separator:
            if token.kind == "*":
                yield state
            elif token.has(character):
                yield state + 1

    def _starts_part(self, state: int) -> bool:
        """Return whether a part of the pattern itself starts with a character, not with a wildcard."""
        before = self._tokens[state - 1] if state else self._separator
        is_first = before == self._separator or (isinstance(before, _Wildcard) and before.kind == "folders")
        return is_first and state < len(self._tokens) and isinstance(self._tokens[state], str)

    def _with_skips(self, states: set[int], *, is_start: bool) -> set[int]:
        """Add the states that are reached without a character: wildcards may match nothing."""
        waiting = list(states)
        while waiting:
            state = waiting.pop()
            token = self._tokens[state] if state < len(self._tokens) else ""
            if isinstance(token, str) or token.kind == "?" or (token.kind == "folders" and not is_start):
                continue
            if state + 1 not in states:
                states.add(state + 1)
                waiting.append(state + 1)
        return states


def _parse(pattern: str, separator: str, *, has_sets: bool) -> Iterator[_Token]:
    at = 0
    while at < len(pattern):
        is_start = at == 0 or pattern[at - 1] == separator
        if pattern.startswith(f"**{separator}", at) and is_start:
            yield _Wildcard("folders")
            at += 3
        elif pattern.startswith("**", at):
            yield _Wildcard("**")
            at += 2
        elif pattern[at] == "*" or (has_sets and pattern[at] == "?"):
            yield _Wildcard("*" if pattern[at] == "*" else "?")
            at += 1
        elif has_sets and (found := _SET.match(pattern, at)):
            yield _set(found[1])
            at = found.end()
        else:
            yield pattern[at]
            at += 1


def _set(text: str) -> _Wildcard:
    """Parse the inside of `[…]`: characters and ranges, after `!` those that do not match."""
    is_negated = text.startswith("!")
    found = re.findall(r"(.)-(.)|(.)", text[is_negated:], re.DOTALL)
    return _Wildcard("?", tuple((first or one, last or one) for first, last, one in found), is_negated)
