from typing import TYPE_CHECKING

from prompt_objects.ui.render.messages import MAX_EXTERNAL, draw_external, draw_messages
from prompt_objects.ui.render.style import plain

if TYPE_CHECKING:
    from prompt_objects.message import Message

MARK = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"
CALL = {"id": "1", "function": {"name": "read_file", "arguments": '{"path": "a"}'}}


def test_messages_are_drawn_as_in_a_conversation() -> None:
    messages: list[Message] = [
        {"role": "user", "content": "What is there?"},
        {"role": "assistant", "content": "I *look*.", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "1", "content": "x" * 1200},
        {"role": "tool", "tool_call_id": "2", "content": "Error: no such file"},
        {"role": "tool", "tool_call_id": "3", "content": "Error: in line 1", "failed": False},
        {"role": "tool", "tool_call_id": "4", "content": "Cancelled before it ended", "failed": True},
        {"role": "assistant", "content": "A tree."},
    ]
    assert plain(draw_messages("guide", messages, 60)).splitlines() == [
        "",
        f"guide {MARK} What is there?",
        "",
        "I look.",
        '→ read_file path="a"',
        "✓ 1.2 kB",
        "✗ no such file",
        "✓ 16 B",
        "✗ Cancelled before it ended",
        "",
        "A tree.",
    ]


def test_external_messages_have_a_heading_and_are_limited() -> None:
    messages: list[Message] = [{"role": "user", "content": f"number {n}."} for n in range(1000)]
    lines = plain(draw_external("guide", messages, 78)).splitlines()
    assert lines[0] == f"! 1,000 new messages from another process, the last {MAX_EXTERNAL} of them:"
    assert sum("number" in line for line in lines) == MAX_EXTERNAL
    assert lines[-1].endswith("number 999.")
    assert plain(draw_external("guide", messages[:1], 78)).startswith("! 1 new message from another process:\n")


def test_external_messages_cannot_control_the_terminal() -> None:
    hostile: list[Message] = [{"role": role, "content": "\x1b[2J\x9b2Jx"} for role in ("user", "assistant", "tool")]
    assert not set(plain(draw_external("guide", hostile, 60))) & set("\x1b\x9b")
