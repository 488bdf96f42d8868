"""Traces as text: callers, tokens and times in any width, with any names and texts."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prompt_toolkit.utils import get_cwidth

from prompt_objects.llm.base import Usage
from prompt_objects.sessions.info import SessionInfo
from prompt_objects.trace.model import CallSpan, MessageEvent, NoticeEvent, Totals, Trace, TurnSpan
from prompt_objects.ui.render.style import plain
from prompt_objects.ui.render.trace import WIDE, draw_trace, format_time

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TOTALS = Totals(1, Usage(1234, 56, 1000, 0.0012))


def session(name: str = "Notes", po_name: str = "boss") -> SessionInfo:
    return SessionInfo(id="0197", name=name, po_name=po_name, message_count=2, created_at=START, updated_at=START)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def message(role: str, text: str | None, **more: Any) -> MessageEvent:
    return MessageEvent(at=START, role=role, text=text, size=len(text or ""), **more)


def turn(*steps: Any, **more: Any) -> TurnSpan:
    about: dict[str, Any] = {"session": session(), "started_at": START, "ended_at": at(4.2), "outcome": "answered"}
    return TurnSpan(steps=list(steps), **{**about, **more})


def drawn(*turns: TurnSpan, width: int = 80) -> list[str]:
    return plain(draw_trace(Trace(session(), list(turns)), width)).splitlines()


@pytest.fixture
def asking() -> TurnSpan:
    below = turn(
        message("user", "Look"),
        message("assistant", "Seen", model="small", totals=TOTALS),
        session=session("Notes (boss)", "scout"),
        caller="boss",
        ended_at=at(2),
    )
    call = CallSpan(id="1", name="scout", at=START, seconds=2.1, outcome="done", size=4, turns=[below])
    failed = CallSpan(
        id="2",
        name="read_file",
        arguments='{"path": "x"}',
        at=START,
        seconds=0.003,
        outcome="failed",
        result="Error: none such",
    )
    answer = message("assistant", "Done\nindeed", model="large", totals=TOTALS)
    return turn(message("user", "Go"), answer, call, failed, NoticeEvent(START, "Take care."))


def test_a_turn_is_drawn_with_its_totals_and_its_delegates_are_indented(asking: TurnSpan) -> None:
    assert drawn(asking) == [
        "Notes · of boss · 0197 · 1 turn",
        "  1,234 tokens in (1,000 cached), 56 out, $0.0012",
        "  including delegates: 2,468 tokens in (2,000 cached), 112 out, $0.0024",
        "",
        f"{format_time(START, '%Y-%m-%d %H:%M:%S')} · boss · 4.2 s · large",
        "  1,234 tokens in (1,000 cached), 56 out, $0.0012",
        "  including delegates: 2,468 tokens in (2,000 cached), 112 out, $0.0024",
        "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} Go",
        "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK} Done indeed",
        "→ scout  ✓ 4 B, 2.1 s",
        f"│ {format_time(START)} · boss → scout · 2.0 s · small",
        "│   1,234 tokens in (1,000 cached), 56 out, $0.0012",
        "│ \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} Look",
        "│ \N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK} Seen",
        '→ read_file path="x"',
        "✗ none such  3 ms",
        "! Take care.",
    ]


def test_a_wide_screen_shows_more_of_each_answer(asking: TurnSpan) -> None:
    narrow, wide = drawn(asking), drawn(asking, width=200)
    assert len(wide) < len(narrow)
    (answer,) = (line for line in wide if "Done indeed" in line)
    assert answer.endswith(f"Done indeed  {format_time(START)} · large · 1,234 tokens in (1,000 cached), 56 out")


def test_unknown_facts_are_left_out_and_an_unknown_end_is_marked() -> None:
    call = CallSpan(id="1", name="look", at=None)
    lines = drawn(turn(message("user", "Go"), call, started_at=None, ended_at=None, outcome=None))
    assert lines[0] == "Notes · of boss · 0197 · 1 turn"
    assert lines[2] == "boss · end unknown"
    assert lines[4] == "→ look  ? end unknown"
    assert "None" not in "".join(lines)


def test_the_outcome_of_a_turn_without_an_answer_is_shown() -> None:
    lines = drawn(turn(outcome="failed", error="The server is gone."), turn(outcome="cancelled"))
    assert lines[2].endswith("boss · 4.2 s · failed")
    assert lines[3] == "✗ The server is gone."
    assert lines[5].endswith("boss · 4.2 s · cancelled")


def test_an_answer_that_only_calls_tools_has_a_line_only_on_a_wide_screen() -> None:
    calling = turn(
        message("assistant", "", totals=TOTALS), message("assistant", "", totals=TOTALS, interrupted="limit")
    )
    mark = "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}"
    assert [line for line in drawn(calling) if line.startswith(mark)] == [f"{mark} [limit]"]
    assert sum(line.startswith(mark) for line in drawn(calling, width=WIDE)) == 2


def test_messages_removed_from_the_session_are_marked() -> None:
    cut = MessageEvent(at=START, role="user", text=None, size=1200)
    assert drawn(turn(cut))[-1].endswith(" (1.2 kB, no longer in the session)")


HOSTILE = "\x1b[2J\x1b]0;x\x07\r\n\u202e文字\ud800" * 30


def hostile() -> TurnSpan:
    def turns(depth: int) -> Iterator[TurnSpan]:
        if depth:
            call = CallSpan(id=HOSTILE, name=HOSTILE, at=START, arguments=HOSTILE, outcome="failed", result=HOSTILE)
            call.turns = list(turns(depth - 1))
            yield turn(
                message("user", HOSTILE),
                message(HOSTILE, HOSTILE, model=HOSTILE, totals=TOTALS, interrupted=HOSTILE),
                call,
                NoticeEvent(None, HOSTILE),
                session=session(HOSTILE, HOSTILE),
                caller=HOSTILE,
                error=HOSTILE,
                outcome="failed",
            )

    (top,) = turns(5)
    return top


@pytest.mark.parametrize("width", [40, 79, 80, WIDE, 200])
def test_text_in_a_trace_is_cleaned_and_stays_on_its_line(width: int) -> None:
    lines = drawn(hostile(), width=width)
    text = "\n".join(lines)
    assert not set(text) & set("\x1b\x07\r\u202e\ud800")
    assert max(map(get_cwidth, lines)) <= width


def test_fifty_nested_delegations_are_still_readable() -> None:
    top = turn(message("user", "bottom"))
    for _ in range(50):
        top = turn(CallSpan(id="1", name="again", at=START, outcome="done", turns=[top]))
    assert any("bottom" in line for line in drawn(top))
    assert max(map(len, drawn(top))) <= 80
