"""News: one line an event, cleaned and cut."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from prompt_objects.config.limits import Limits
from prompt_objects.runtime.budget import Spending
from prompt_objects.runtime.events import (
    BudgetUpdated,
    Event,
    ExternalMessages,
    MessageSaved,
    Notice,
    TextDelta,
    ToolCallEnded,
    ToolCallStarted,
    TurnEnded,
    TurnStarted,
)
from prompt_objects.ui.render.events import headline
from prompt_objects.ui.render.style import plain

MOMENT = datetime(2026, 3, 1, 12, 0, 5).astimezone()
ABOUT: Any = {"run": "r", "root": "r", "path": ("guide", "reader"), "session_id": "0197", "at": MOMENT}


class Unheard(Event, frozen=True, kw_only=True):
    """A kind of event that nothing is known of."""

    what: Path = Path()


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (TurnStarted(**ABOUT), "begins, in 0197"),
        (MessageSaved(**ABOUT, message={"role": "user", "content": "Hello\nthere"}), "saved: user: Hello there"),
        (ExternalMessages(**ABOUT, messages=[{}, {}]), "from elsewhere: 2 messages"),
        (ToolCallStarted(**ABOUT, call_id="1", name="look", arguments='{"at": 1}'), 'calls look {"at": 1}'),
        (
            ToolCallEnded(**ABOUT, call_id="1", name="look", result="seen", failed=False, seconds=2),
            "look ended in 2.0 s: seen",
        ),
        (
            ToolCallEnded(**ABOUT, call_id="1", name="look", result="dark", failed=True, seconds=0),
            "look failed in 0 ms: dark",
        ),
        (Notice(**ABOUT, text="Take care."), "! Take care."),
        (
            BudgetUpdated(**ABOUT, amount=Spending(1, 2000), seconds=1, limits=Limits()),
            "spent so far: 1 request, 2,000 tokens",
        ),
        (TurnEnded(**ABOUT, outcome="answered"), "answered"),
        (TurnEnded(**ABOUT, outcome="failed", error="No network."), "failed: No network."),
        (Unheard(**ABOUT), "Unheard"),
    ],
)
def test_an_event_is_one_line_with_its_time_and_its_path(event: Event, told: str) -> None:
    assert plain(headline(event, 80)) == f"12:00:05 guide → reader: {told}"


def test_text_that_streams_is_no_news() -> None:
    assert headline(TextDelta(**ABOUT, text="word"), 80) == []


def test_names_and_texts_cannot_move_the_cursor_nor_take_more_than_a_line() -> None:
    hostile = "\x1b[2J\r\n" * 50
    told = Notice(**{**ABOUT, "path": (hostile, "po")}, text=hostile)
    line = plain(headline(told, 40))
    assert not set(line) & set("\x1b\r\n")
    assert len(line) <= 40
