"""How far one message may go: turns, tokens, cost, time, depth."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

__all__ = [
    "PRICES_HINT",
    "Limits",
    "LimitsConfig",
]


def _described(what: str) -> Any:
    return Meta(description=what)


class LimitsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Limits as a file gives them; None where it is silent."""

    turns: Annotated[
        Annotated[int, Meta(ge=1, le=1000)] | None, _described("Requests to the model for one message; 25.")
    ] = None
    tokens: Annotated[
        Annotated[int, Meta(ge=1)] | None, _described("Tokens for one message, delegations included.")
    ] = None
    cost: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        _described("Cost of one message in US dollars, delegations included."),
    ] = None
    seconds: Annotated[
        Annotated[float, Meta(gt=0)] | None, _described("Seconds for one message, delegations included.")
    ] = None
    depth: Annotated[
        Annotated[int, Meta(ge=0, le=32)] | None,
        _described("Prompt objects that may ask one another in a row; 4. With 0 it asks nobody."),
    ] = None
    parallel: Annotated[Annotated[int, Meta(ge=1, le=64)] | None, _described("Calls that run side by side; 4.")] = (
        None
    )


class Limits(Struct, frozen=True):
    """Limits in force; None means no limit. Cost is in US dollars."""

    turns: int = 25
    tokens: int | None = None
    cost: float | None = None
    seconds: float | None = None
    depth: int = 4
    parallel: int = 4

    @classmethod
    def resolve(cls, given: LimitsConfig, bounds: LimitsConfig) -> "Limits":
        """Take what a file gives, and at most what `bounds` allow; these count where it is silent."""
        chosen: dict[str, Any] = {}
        for name, bound in msgspec.structs.asdict(bounds).items():
            values = [value for value in (getattr(given, name), bound) if value is not None]
            if values:
                chosen[name] = min(values)
        return cls(**chosen)


PRICES_HINT = "Give `prices` under `models` in environment.yaml; the extra `prices` knows those of public models."
"""What a person can do where a limit of cost does not hold, as it is not known what a model costs."""
