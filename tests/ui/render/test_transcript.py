from typing import TYPE_CHECKING, Any

import pytest

from prompt_objects.runtime.events import (
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
from prompt_objects.ui.render.style import plain
from prompt_objects.ui.render.transcript import Transcript

if TYPE_CHECKING:
    from prompt_objects.ui.render.style import Line

WIDTH = 60


class Story:
    """Sends events to a transcript and keeps its output."""

    def __init__(self) -> None:
        self.talked_to = "guide"
        self.transcript = Transcript(lambda: self.talked_to)
        self.drawn: list[Line] = []

    def happens(self, kind: type[Event], *path: str, run: str | None = None, **details: Any) -> None:
        about: Any = {"run": run or "/".join(path), "root": path[0], "path": path, "session_id": "s"}
        self.drawn += self.transcript.draw(kind(**about, **details), WIDTH)

    def starts(self, *path: str, **details: Any) -> None:
        self.happens(TurnStarted, *path, **details)

    def streams(self, *path: str, text: str, run: str | None = None) -> None:
        for at in range(0, len(text), 5):
            self.happens(TextDelta, *path, run=run, text=text[at : at + 5])

    def saves(self, *path: str, role: str = "assistant", text: str = "", run: str | None = None) -> None:
        self.happens(MessageSaved, *path, run=run, message={"role": role, "content": text})

    def says(self, *path: str, text: str, run: str | None = None) -> None:
        self.streams(*path, text=text, run=run)
        self.saves(*path, text=text, run=run)

    @property
    def text(self) -> str:
        return plain(self.drawn)

    def live(self, height: int = 20) -> str:
        return plain(self.transcript.live(WIDTH, height))


@pytest.fixture
def story() -> Story:
    return Story()


def test_finished_text_is_drawn_once_and_the_rest_is_live(story: Story) -> None:
    story.starts("guide")
    story.streams("guide", text="# Title\n\nFirst **words**.\n\nSecond\n")
    assert story.text == "\nTitle\n\nFirst words."
    assert story.live().splitlines()[:2] == ["", "Second"]
    story.saves("guide", text="…")
    story.happens(TurnEnded, "guide", outcome="answered")
    assert story.text == "\nTitle\n\nFirst words.\n\nSecond"
    assert story.live() == ""
    assert not story.transcript.busy


def test_an_answer_without_streaming_is_drawn(story: Story) -> None:
    story.starts("guide")
    story.saves("guide", text="All at once.")
    assert story.text.strip() == "All at once."


def test_a_delegation_shows_the_message_and_the_reply_in_full_under_both_names(story: Story) -> None:
    story.starts("guide")
    story.happens(ToolCallStarted, "guide", call_id="c1", name="reader", arguments='{"message": "What is in it?"}')
    story.starts("guide", "reader", call_id="c1")
    story.saves("guide", "reader", role="user", text="What is *in* it?")
    story.says("guide", "reader", text="Two things:\n\n- one\n- two\n")
    story.happens(TurnEnded, "guide", "reader", outcome="answered")
    story.happens(ToolCallEnded, "guide", call_id="c1", name="reader", result="Two…", failed=False, seconds=1)
    story.says("guide", text="Done.")
    assert story.text.splitlines() == [
        "",
        "guide → reader",
        "│ What is in it?",
        "",
        "reader → guide",
        "│ Two things:",
        "│",
        "│  • one",
        "│  • two",
        "",
        "Done.",
    ]


def test_continued_text_has_no_second_heading(story: Story) -> None:
    story.starts("guide")
    story.starts("guide", "reader", call_id="c1")
    story.streams("guide", "reader", text="First.")
    assert story.live().splitlines()[:3] == ["", "reader → guide", "│ First."]
    story.streams("guide", "reader", text="\n\nSecond.\n")
    assert story.text.splitlines() == ["", "reader → guide", "│ First."]
    assert story.live().splitlines()[:2] == ["│", "│ Second."]
    story.transcript.separate()
    assert story.live().splitlines()[:3] == ["", "reader → guide", "│ Second."]


def test_concurrent_answers_never_mix_within_a_block(story: Story) -> None:
    story.starts("guide")
    for name, line in [("a", "alpha one\n"), ("b", "beta one\n"), ("a", "alpha two"), ("b", "beta two")]:
        story.streams("guide", name, text=line)
    story.saves("guide", "b", text="")
    story.saves("guide", "a", text="")
    assert story.text.splitlines() == [
        "",
        "b → guide",
        "│ beta one beta two",
        "",
        "a → guide",
        "│ alpha one alpha two",
    ]


def test_two_runs_of_one_object_are_kept_apart(story: Story) -> None:
    story.says("guide", "reader", run="1", text="one")
    story.says("guide", "reader", run="2", text="two")
    assert story.text.count("reader → guide") == 2


def test_a_call_is_one_line_and_its_result_another(story: Story) -> None:
    story.starts("guide")
    arguments = '{"path": "README.md", "lines": 3}'
    story.happens(ToolCallStarted, "guide", call_id="c", name="read_file", arguments=arguments)
    assert "guide: read_file" in story.live()
    story.happens(
        ToolCallEnded, "guide", call_id="c", name="read_file", result="x" * 1200, failed=False, seconds=0.003
    )
    assert story.text == '\n→ read_file path="README.md" lines=3\n✓ 1.2 kB, 3 ms'


def test_a_failed_call_says_why(story: Story) -> None:
    story.starts("guide")
    story.happens(ToolCallStarted, "guide", call_id="c", name="read_file", arguments="not json")
    story.happens(
        ToolCallEnded, "guide", call_id="c", name="read_file", result="Error: no such file", failed=True, seconds=0
    )
    assert story.text == "\n→ read_file not json\n✗ no such file"


def test_a_delegation_that_never_started_is_drawn_as_a_failed_call(story: Story) -> None:
    story.starts("guide")
    story.happens(ToolCallStarted, "guide", call_id="c", name="guide", arguments='{"message": "x"}')
    story.happens(ToolCallEnded, "guide", call_id="c", name="guide", result="Error: a cycle", failed=True, seconds=0)
    assert "✗ a cycle" in story.text


def test_a_stopped_reply_is_kept_and_marked(story: Story) -> None:
    story.starts("guide")
    story.streams("guide", text="Half a sent")
    story.saves("guide", text="Half a sent")
    story.happens(TurnEnded, "guide", outcome="cancelled")
    assert story.text == "\nHalf a sent\n\n■ stopped"


def test_the_error_of_a_delegate_is_shown_under_its_name(story: Story) -> None:
    story.starts("guide", "reader")
    story.happens(TurnEnded, "guide", "reader", outcome="failed", error="The server said no.")
    assert story.text == "\nreader\n│ ✗ The server said no."


def test_notices_are_shown(story: Story) -> None:
    story.happens(Notice, "guide", text="2 messages were added.")
    assert story.text == "\n! 2 messages were added."


def test_the_live_part_keeps_to_its_height_and_shows_the_end(story: Story) -> None:
    story.starts("guide")
    story.streams("guide", text="```\n" + "\n".join(f"line {n}" for n in range(500)))
    live = story.live(10).splitlines()
    assert len(live) <= 10
    assert "line 499" in live[-2]
    assert live[-1] == "guide is writing… 0 s"


def test_the_status_names_working_objects_and_no_waiting_ones(story: Story) -> None:
    story.starts("guide")
    assert story.live() == "guide is thinking… 0 s"
    story.happens(ToolCallStarted, "guide", call_id="c", name="reader", arguments="{}")
    story.starts("guide", "reader", call_id="c")
    assert story.live() == "reader is thinking… 0 s"


def test_hostile_names_arguments_and_results_are_cleaned(story: Story) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\x9bx\u202e"
    story.starts("guide")
    story.happens(ToolCallStarted, "guide", call_id="c", name=evil, arguments=f'{{"{evil}": "{evil}"}}')
    story.happens(TextDelta, "guide", text=evil)
    live = story.live()
    story.happens(ToolCallEnded, "guide", call_id="c", name=evil, result=evil, failed=True, seconds=0)
    story.happens(Notice, "guide", text=evil)
    story.says("guide", evil, text=evil)
    story.happens(TurnEnded, "guide", evil, outcome="failed", error=evil)
    assert not set(story.text + live) & set("\x1b\x07\x9b\u202e")


def test_everything_can_be_drawn_on_a_very_narrow_screen() -> None:
    transcript = Transcript(lambda: "a")
    path = ("a", "b", "c", "d", "e", "f")
    about: Any = {"run": "r", "root": "r", "path": path, "session_id": "s"}
    transcript.draw(ToolCallStarted(**about, call_id="c", name="n", arguments="{}"), 5)
    transcript.draw(ToolCallEnded(**about, call_id="c", name="n", result="r", failed=False, seconds=0), 5)
    transcript.draw(TextDelta(**about, text="some words"), 5)
    assert transcript.live(5, 1)


def test_external_messages_come_before_the_answer() -> None:
    story = Story()
    story.starts("guide")
    messages = [{"role": "user", "content": "Me first"}, {"role": "assistant", "content": "As you like."}]
    story.happens(ExternalMessages, "guide", messages=messages)
    story.says("guide", text="Your answer.")
    drawn = plain(story.drawn)
    assert drawn.index("2 new messages from another process") < drawn.index("Me first") < drawn.index("As you like.")
    assert drawn.index("As you like.") < drawn.index("Your answer.")


def test_a_late_event_of_an_ended_turn_is_shown_and_does_not_start_it_again(story: Story) -> None:
    story.starts("guide")
    story.happens(ToolCallStarted, "guide", call_id="c", name="stubborn", arguments='{"by": 7}')
    story.happens(TurnEnded, "guide", outcome="cancelled")
    story.happens(ToolCallEnded, "guide", call_id="c", name="stubborn", result="done", failed=False, seconds=7)
    story.happens(Notice, "guide", text="The tool has only now stopped.")
    assert story.text.endswith("■ stopped\n\n→ stubborn by=7\n✓ 4 B, 7.0 s\n\n! The tool has only now stopped.")
    assert not story.transcript.busy
    assert story.live() == ""


def test_a_late_event_of_a_delegate_does_not_affect_the_next_turn(story: Story) -> None:
    story.starts("guide", run="1")
    story.starts("guide", "reader", call_id="c")
    story.happens(TurnEnded, "guide", "reader", outcome="cancelled")
    story.happens(TurnEnded, "guide", run="1", outcome="cancelled")
    story.starts("guide", run="2")
    story.happens(ToolCallEnded, "guide", "reader", call_id="x", name="slow", result="", failed=False, seconds=7)
    assert story.live() == "guide is thinking… 0 s"
    story.happens(TurnEnded, "guide", run="2", outcome="answered")
    assert not story.transcript.busy


def test_an_answer_of_another_object_has_its_name_above(story: Story) -> None:
    story.starts("reader")
    story.streams("reader", text="I read.\n\nStill\n")
    assert story.text == "\nreader\nI read."
    assert story.live().splitlines()[:2] == ["", "Still"]
    story.saves("reader")
    story.talked_to = "reader"
    story.says("reader", text="Now I am meant.")
    assert story.text == "\nreader\nI read.\n\nStill\n\nNow I am meant."
    story.happens(TurnEnded, "reader", outcome="answered")
    story.streams("guide", text="Done")
    assert story.live().splitlines()[:3] == ["", "guide", "Done"]


def test_live_text_has_a_heading_if_it_is_apart(story: Story) -> None:
    story.starts("guide", "reader")
    story.streams("guide", "reader", text="First.\n\nSecond.\n")
    assert plain(story.transcript.live(WIDTH, 20)).splitlines()[:2] == ["│", "│ Second."]
    apart = plain(story.transcript.live(WIDTH, 20, after_gap=True))
    assert apart.splitlines()[:3] == ["", "reader → guide", "│ Second."]
