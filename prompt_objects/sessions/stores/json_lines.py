"""Messages as lines of JSON, such that what was appended is what is read back."""

import json
from typing import Any

import msgspec

from prompt_objects.errors import UsageError
from prompt_objects.message import Message

_DEEPEST = 200  # far below the depth at which a reader, called from deep inside a program, would give up


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)
_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_ENCODE_ASCII = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode
_QUICK_ENCODE = msgspec.json.Encoder().encode
_QUICK_DECODE = msgspec.json.Decoder().decode


def encode(value: dict[str, Any]) -> bytes:
    """Write a JSON object on one line. Raises `UsageError` for what JSON cannot say or readers may not bear."""
    line = _quickly(value) or _with_care(value)
    if line.count(b"{") + line.count(b"[") > _DEEPEST and _is_deeper(value, _DEEPEST):
        raise UsageError(f"This cannot be saved: it is nested more than {_DEEPEST} levels deep.")
    return line


def _quickly(value: dict[str, Any]) -> bytes | None:
    """Encode what comes back the same, in half the time; None for all that is not so plain.

    msgspec also writes what JSON cannot say, such as bytes and NaN, as something else; that is why it is read again.
    """
    try:
        line = _QUICK_ENCODE(value)
        return line if _QUICK_DECODE(line) == value else None
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError):
        return None


def _with_care(value: dict[str, Any]) -> bytes:
    try:
        text = _ENCODE(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"This cannot be saved as JSON: {error}.",
            hint="Use text, finite numbers, true, false, null, lists and objects with text as keys.",
        ) from error
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair is no text, but it may stand in JSON as an escape
        return _ENCODE_ASCII(value).encode()


def _is_deeper(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        return levels == 0 or any(_is_deeper(inner, levels - 1) for inner in value.values())
    if isinstance(value, list | tuple):
        return levels == 0 or any(_is_deeper(inner, levels - 1) for inner in value)
    return False


def decode(line: bytes) -> Message:
    """Read a line. Raises `ValueError` where it is no JSON object, or no UTF-8."""
    try:
        value = _DECODER.decode(line.decode())
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  # the same to whoever reads a file
    return value


def decode_message(line: bytes) -> Message:
    """Read a line. Raises `ValueError` where it is no message: no JSON object, or one without a role."""
    message = decode(line)
    if not isinstance(message.get("role"), str):
        raise ValueError("not a message")  # noqa: TRY004  # the same to whoever reads a file
    return message


def decode_at(text: str, position: int) -> tuple[Any, int] | None:
    """Read the JSON value that begins at `position`: the value and where it ends; None where there is none."""
    try:
        return _DECODER.raw_decode(text, position)
    except (ValueError, RecursionError):
        return None
