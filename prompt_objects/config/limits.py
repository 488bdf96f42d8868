"""Limits of one message: requests, tokens, cost, time and depth of delegation."""

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct

if TYPE_CHECKING:
    from prompt_objects.config.yaml.document import YamlDocument


def _described(text: str) -> Any:
    return Meta(description=text)


class LimitsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Limits as a file gives them; None if the file does not give one."""

    requests: Annotated[
        Annotated[int, Meta(ge=1, le=1000)] | None,
        _described("Maximum requests for one message, including delegates; 25 by default."),
    ] = None
    tokens: Annotated[
        Annotated[int, Meta(ge=1)] | None, _described("Maximum tokens for one message, including delegates.")
    ] = None
    cost: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        _described("Maximum cost of one message in US dollars, including delegates."),
    ] = None
    seconds: Annotated[
        Annotated[float, Meta(gt=0)] | None, _described("Maximum seconds for one message, including delegates.")
    ] = None
    depth: Annotated[
        Annotated[int, Meta(ge=0, le=32)] | None,
        _described("Maximum levels of delegation; 4 by default. With 0 it cannot delegate."),
    ] = None
    parallel: Annotated[
        Annotated[int, Meta(ge=1, le=64)] | None, _described("Maximum calls that run in parallel; 4 by default.")
    ] = None


class Limits(Struct, frozen=True):
    """The limits that apply; None means no limit. Cost is in US dollars."""

    requests: int = 25
    tokens: int | None = None
    cost: float | None = None
    seconds: float | None = None
    depth: int = 4
    parallel: int = 4

    @classmethod
    def resolve(cls, given: LimitsConfig, bounds: LimitsConfig) -> "Limits":
        """Return the given limits, at most those of `bounds`, which are also the defaults."""
        chosen: dict[str, Any] = {}
        for name, bound in msgspec.structs.asdict(bounds).items():
            values = [value for value in (getattr(given, name), bound) if value is not None]
            if values:
                chosen[name] = min(values)
        return cls(**chosen)


def accept_old_key(document: "YamlDocument") -> tuple[str, ...]:
    """Rename `limits.turns` to `limits.requests`; return notices. Raises the document's error if both are given."""
    limits = document.data.get("limits") if isinstance(document.data, dict) else None
    if not isinstance(limits, dict) or "turns" not in limits:
        return ()
    at = document.position_of("limits", "turns", key=True)
    if "requests" in limits:
        problem = "`limits` has both `requests` and its old name `turns`."
        raise document.error_at(problem, at, hint="Remove `turns`.")
    document.rename("requests", "limits", "turns")
    notice = "`limits.turns` is called `limits.requests` now. Rename it, or run: prompt-objects migrate"
    return (f"{document.file}:{at.line}:{at.column}: {notice}",)


PRICES_HINT = "Set `prices` under `models` in environment.yaml; the extra `prices` has those of public models."
"""The hint for a cost limit that has no effect because a model's prices are unknown."""
