"""What happens, event by event, turned into lines: finished ones to print, and the live end of what is not."""

import time
from collections.abc import Callable

from msgspec import Struct, field

from prompt_objects.message import Message, text_of
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
from prompt_objects.ui.render import text as drawing
from prompt_objects.ui.render.markdown_stream import BlockStream
from prompt_objects.ui.render.messages import arrived
from prompt_objects.ui.render.sanitize import clean_line
from prompt_objects.ui.render.style import Line

__all__ = [
    "Transcript",
]

MAX_STATUS_LINES = 4


class _Run(Struct, eq=False):
    """One turn that is under way, or what is left of it."""

    path: tuple[str, ...]
    stream: BlockStream = field(default_factory=BlockStream)
    heard: bool = False
    since: float = field(default_factory=time.monotonic)
    calls: dict[str, tuple[ToolCallStarted, float]] = field(default_factory=dict)
    shown: tuple[str, int, list[Line]] = ("", 0, [])

    @property
    def depth(self) -> int:
        return len(self.path) - 1

    @property
    def name(self) -> str:
        return self.path[-1]


class Transcript:
    """Draws the events of turns; give it all of them, in order.

    What one prompt object says is drawn in whole blocks under its name, so that several at once never mix; only the
    one that is `talked_to`, whose name stands at the prompt, answers the person without.
    """

    def __init__(self, talked_to: Callable[[], str]) -> None:
        self._talked_to = talked_to
        self._runs: dict[str, _Run] = {}
        self._ended: dict[str, _Run] = {}
        self._delegated: set[tuple[tuple[str, ...], str]] = set()
        self._last: tuple[str, str, str] = ("", "", "")
        self._lines: list[Line] = []

    def take(self, event: Event, width: int) -> list[Line]:
        """Take an event and return the lines that are finished by it."""
        run = self._run_of(event)
        match event:
            case TurnStarted():
                if event.call_id:
                    self._delegated.add((event.path[:-1], event.call_id))
            case TextDelta():
                self._hear(event, run, width)
            case MessageSaved():
                self._message(event, run, width)
            case ExternalMessages():
                self._add(event, run, "arrived", arrived(run.name, event.messages, _inner(run, width)))
            case ToolCallStarted():
                run.calls[event.call_id] = (event, time.monotonic())
            case ToolCallEnded():
                self._call(event, run, width)
            case Notice():
                told = drawing.paragraph(event.text, _inner(run, width), "class:notice", "! ")
                self._add(event, run, "notice", told)
            case TurnEnded():
                self._end(event, run, width)
        lines, self._lines = self._lines, []
        return lines

    def live(self, width: int, height: int, *, apart: bool = False) -> list[Line]:
        """Draw the end of what is not finished, and who is doing what, in at most `height` lines.

        It stands `apart` where what is finished is not right above it.
        """
        status = self._status(width)[: max(height - 1, 1)]
        speaking = [(key, run) for key, run in self._runs.items() if run.stream.rest.strip()]
        room = max(height - len(status), 0) // max(len(speaking), 1)
        lines: list[Line] = []
        for key, run in speaking:
            goes_on = not apart and not lines and self._last == (key, "text", self._heading(run))
            lines += self._live_text(run, width, room, goes_on=goes_on)
        return [*lines, *status]

    @property
    def busy(self) -> bool:
        """Whether a turn is under way."""
        return bool(self._runs)

    def separate(self) -> None:
        """Say that something else was printed in between."""
        self._last = ("", "", "")

    def _run_of(self, event: Event) -> _Run:
        """Find the turn of an event; late news of one that has ended is told, but does not begin it again."""
        if event.run in self._ended and not isinstance(event, TurnStarted):
            return self._ended[event.run]
        return self._runs.setdefault(event.run, _Run(event.path))

    def _name(self, run: _Run) -> str:
        """Who does something; nothing for the one that is talked to."""
        return run.name if run.depth or run.name != self._talked_to() else ""

    def _heading(self, run: _Run) -> str:
        """Whose words are answered to whom; of those to the person, only whose, where that is not plain."""
        return f"{run.name} → {run.path[-2]}" if run.depth else self._name(run)

    # What is finished

    def _hear(self, event: TextDelta, run: _Run, width: int) -> None:
        if not run.heard:
            run.heard, run.since = True, time.monotonic()
        self._blocks(event, run, run.stream.feed(event.text), width)

    def _message(self, event: MessageSaved, run: _Run, width: int) -> None:
        message = event.message
        if message.get("role") == "assistant":
            self._speech(event, run, message, width)
        elif message.get("role") == "user" and (run.depth or message.get("steers")):
            heading = f"{'you' if message.get('steers') else run.path[-2]} → {run.name}"
            self._markdown(event, run, text_of(message), width, heading)

    def _speech(self, event: Event, run: _Run, message: Message, width: int) -> None:
        if not run.heard:
            self._blocks(event, run, run.stream.feed(text_of(message)), width)
        self._blocks(event, run, run.stream.finish(), width)
        run.heard, run.since = False, time.monotonic()

    def _blocks(self, event: Event, run: _Run, blocks: list[str], width: int) -> None:
        for block in blocks:
            self._markdown(event, run, block, width, self._heading(run))

    def _markdown(self, event: Event, run: _Run, text: str, width: int, heading: str) -> None:
        from prompt_objects.ui.render.markdown import render

        if text.strip():
            self._add(event, run, "text", render(text, _inner(run, width)), heading)

    def _call(self, event: ToolCallEnded, run: _Run, width: int) -> None:
        started, _ = run.calls.pop(event.call_id, (None, 0.0))
        run.since = time.monotonic()
        if (run.path, event.call_id) in self._delegated:
            self._delegated.discard((run.path, event.call_id))
            return  # what was asked and answered is there in full
        inner = _inner(run, width)
        arguments = started.arguments if started else ""
        ended = drawing.result(event.result, event.seconds, inner, failed=event.failed)
        self._add(event, run, "call", [drawing.call(event.name, arguments, inner), ended])

    def _end(self, event: TurnEnded, run: _Run, width: int) -> None:
        self._blocks(event, run, run.stream.finish(), width)
        self._runs.pop(event.run, None)
        self._ended[event.run] = _Run(run.path, calls=run.calls)
        if event.outcome == "cancelled":
            self._add(event, run, "end", [[("class:notice", "■ stopped")]])
        elif event.outcome == "failed" and run.depth:
            self._add(event, run, "end", drawing.error(event.error, "", _inner(run, width)))

    def _add(self, event: Event, run: _Run, kind: str, lines: list[Line], heading: str = "") -> None:
        """Put lines below what is there: a blank line between different things, a heading where it is new."""
        heading = heading or self._name(run)
        here = (event.run, kind, heading)
        if here[::2] != self._last[::2]:
            self._lines.append([])
            if heading:
                self._lines += drawing.indent_by_depth(
                    [[("class:speaker", clean_line(heading))]], max(run.depth - 1, 0)
                )
        elif kind != "call" or self._last[1] != "call":
            self._lines += drawing.indent_by_depth([[]], run.depth)
        self._last = here
        self._lines += drawing.indent_by_depth(lines, run.depth)

    # What is not

    def _live_text(self, run: _Run, width: int, room: int, *, goes_on: bool) -> list[Line]:
        """Draw the end of what is said; it needs no heading where it goes on from what stands right above."""
        from prompt_objects.ui.render.markdown import ending, render

        inner = _inner(run, width)
        text = ending(run.stream.rest, max(room, 1))
        if run.shown[:2] != (text, inner):
            run.shown = (text, inner, render(text, inner))
        above: list[Line] = [[]]
        if goes_on:
            above = drawing.indent_by_depth(above, run.depth)
        elif heading := self._heading(run):
            above += drawing.indent_by_depth(
                [[("class:speaker", drawing.fit(heading, inner))]], max(run.depth - 1, 0)
            )
        shown = [*above, *drawing.indent_by_depth(run.shown[2], run.depth)]
        return shown[-room:] if room else []

    def _status(self, width: int) -> list[Line]:
        now = time.monotonic()
        texts = [text for run in self._runs.values() for text in self._doings(run, now)]
        if len(texts) > MAX_STATUS_LINES:
            texts = [*texts[: MAX_STATUS_LINES - 1], f"… and {len(texts) - MAX_STATUS_LINES + 1} more"]
        return [[("class:status", drawing.fit(text, width))] for text in texts]

    def _doings(self, run: _Run, now: float) -> list[str]:
        """Say what a run is doing; one that waits for others to answer is not worth a line."""
        if run.calls:
            own = [
                (started, since)
                for started, since in run.calls.values()
                if (run.path, started.call_id) not in self._delegated
            ]
            return [f"{run.name}: {started.name}… {now - since:.0f} s" for started, since in own]
        doing = "writing" if run.heard else "thinking"
        return [f"{run.name} is {doing}… {now - run.since:.0f} s"]


def _inner(run: _Run, width: int) -> int:
    return width - len(drawing.BAR) * run.depth
