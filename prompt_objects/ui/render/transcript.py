"""Events of turns, drawn: finished lines to print, and live lines for everything unfinished."""

import time
from collections.abc import Callable

from msgspec import Struct, field

from prompt_objects.message import text_of
from prompt_objects.runtime import events
from prompt_objects.runtime.events import Event
from prompt_objects.ui.render.markdown import BlockStream, last_lines, render
from prompt_objects.ui.render.messages import draw_external
from prompt_objects.ui.render.sanitize import clean_line
from prompt_objects.ui.render.style import Line
from prompt_objects.ui.render.text import BAR, call_line, error_lines, fit, indent_by_depth, paragraph, result_line

MAX_STATUS_LINES = 4


class _Run(Struct, eq=False):
    """A running turn, or the rest of an ended one."""

    path: tuple[str, ...]
    stream: BlockStream = field(default_factory=BlockStream)
    is_streaming: bool = False
    since: float = field(default_factory=time.monotonic)
    calls: dict[str, tuple[events.ToolCallStarted, float]] = field(default_factory=dict)
    shown: tuple[str, int, list[Line]] = ("", 0, [])

    @property
    def depth(self) -> int:
        return len(self.path) - 1

    @property
    def name(self) -> str:
        return self.path[-1]


class Transcript:
    """Draws the events of turns; it needs all of them, in order.

    The text of a prompt object is drawn in whole blocks under its name, so that several of them never mix. Only the
    `current` one, whose name is in the input prompt, has no name above its answers to the user.
    """

    def __init__(self, current: Callable[[], str]) -> None:
        self._current = current
        self._runs: dict[str, _Run] = {}
        self._ended: dict[str, _Run] = {}
        self._delegated: set[tuple[tuple[str, ...], str]] = set()
        self._last: tuple[str, str, str] = ("", "", "")
        self._lines: list[Line] = []

    def draw(self, event: Event, width: int) -> list[Line]:
        """Take an event and return the lines that it finishes."""
        run = self._run_of(event)
        match event:
            case events.TurnStarted():
                if event.call_id:
                    self._delegated.add((event.path[:-1], event.call_id))
            case events.TextDelta():
                self._text(event, run, width)
            case events.MessageSaved():
                self._message(event, run, width)
            case events.ExternalMessages():
                self._add(event, run, "external", draw_external(run.name, event.messages, _inner(run, width)))
            case events.ToolCallStarted():
                run.calls[event.call_id] = (event, time.monotonic())
            case events.ToolCallEnded():
                self._call(event, run, width)
            case events.Notice():
                self._add(event, run, "notice", paragraph(event.text, _inner(run, width), "class:notice", "! "))
            case events.TurnEnded():
                self._end(event, run, width)
        lines, self._lines = self._lines, []
        return lines

    def live(self, width: int, height: int, *, after_gap: bool = False) -> list[Line]:
        """Draw unfinished text and the status of each turn; `apart` if the finished text is not directly above."""
        status = self._status(width)[: max(height - 1, 1)]
        streaming = [(key, run) for key, run in self._runs.items() if run.stream.rest.strip()]
        room = max(height - len(status), 0) // max(len(streaming), 1)
        lines: list[Line] = []
        for key, run in streaming:
            is_continued = not after_gap and not lines and self._last == (key, "text", self._heading(run))
            lines += self._live_text(run, width, room, is_continued=is_continued)
        return [*lines, *status]

    @property
    def busy(self) -> bool:
        return bool(self._runs)

    @property
    def is_writing(self) -> bool:
        """Whether a text is unfinished, so that other lines would be in its middle."""
        return any(run.is_streaming for run in self._runs.values())

    def separate(self) -> None:
        self._last = ("", "", "")

    def _run_of(self, event: Event) -> _Run:
        """Return the turn of an event; a late event of an ended turn is drawn, but does not start the turn again."""
        if event.run in self._ended and not isinstance(event, events.TurnStarted):
            return self._ended[event.run]
        return self._runs.setdefault(event.run, _Run(event.path))

    def _name(self, run: _Run) -> str:
        return run.name if run.depth or run.name != self._current() else ""

    def _heading(self, run: _Run) -> str:
        """Return `speaker → listener`; for words to the user, the speaker, unless it is the current one."""
        return f"{run.name} → {run.path[-2]}" if run.depth else self._name(run)

    # Finished lines

    def _text(self, event: events.TextDelta, run: _Run, width: int) -> None:
        if not run.is_streaming:
            run.is_streaming, run.since = True, time.monotonic()
        self._blocks(event, run, run.stream.feed(event.text), width)

    def _message(self, event: events.MessageSaved, run: _Run, width: int) -> None:
        message = event.message
        if message.get("role") == "assistant":
            if not run.is_streaming:
                self._blocks(event, run, run.stream.feed(text_of(message)), width)
            self._blocks(event, run, run.stream.finish(), width)
            run.is_streaming, run.since = False, time.monotonic()
        elif message.get("role") == "user" and (run.depth or message.get("steers")):
            heading = f"{'you' if message.get('steers') else run.path[-2]} → {run.name}"
            self._markdown(event, run, text_of(message), width, heading)

    def _blocks(self, event: Event, run: _Run, blocks: list[str], width: int) -> None:
        for block in blocks:
            self._markdown(event, run, block, width, self._heading(run))

    def _markdown(self, event: Event, run: _Run, text: str, width: int, heading: str) -> None:
        if text.strip():
            self._add(event, run, "text", render(text, _inner(run, width), wrap_code=run.depth > 0), heading)

    def _call(self, event: events.ToolCallEnded, run: _Run, width: int) -> None:
        started, _ = run.calls.pop(event.call_id, (None, 0.0))
        run.since = time.monotonic()
        if (run.path, event.call_id) in self._delegated:
            self._delegated.discard((run.path, event.call_id))
            return  # the messages of the delegate are shown in full
        inner = _inner(run, width)
        arguments = started.arguments if started else ""
        ended = result_line(event.result, event.seconds, inner, failed=event.failed)
        self._add(event, run, "call", [call_line(event.name, arguments, inner), ended])

    def _end(self, event: events.TurnEnded, run: _Run, width: int) -> None:
        self._blocks(event, run, run.stream.finish(), width)
        self._runs.pop(event.run, None)
        self._ended[event.run] = _Run(run.path, calls=run.calls)
        if event.outcome == "cancelled":
            self._add(event, run, "end", [[("class:notice", "■ stopped")]])
        elif event.outcome == "failed" and run.depth:
            self._add(event, run, "end", error_lines(event.error, "", _inner(run, width)))

    def _add(self, event: Event, run: _Run, kind: str, lines: list[Line], heading: str = "") -> None:
        """Add lines, after a blank line if they are of another kind, and after a heading if it is a new one."""
        heading = heading or self._name(run)
        here = (event.run, kind, heading)
        if here[::2] != self._last[::2]:
            self._lines.append([])
            if heading:
                self._lines += indent_by_depth([[("class:speaker", clean_line(heading))]], max(run.depth - 1, 0))
        elif kind != "call" or self._last[1] != "call":
            self._lines += indent_by_depth([[]], run.depth)
        self._last = here
        self._lines += indent_by_depth(lines, run.depth)

    # Unfinished lines

    def _live_text(self, run: _Run, width: int, room: int, *, is_continued: bool) -> list[Line]:
        """Draw the end of unfinished text, without a heading if it continues the finished text directly above."""
        inner = _inner(run, width)
        text = last_lines(run.stream.rest, max(room, 1))
        if run.shown[:2] != (text, inner):
            run.shown = (text, inner, render(text, inner, wrap_code=run.depth > 0))
        above: list[Line] = [[]]
        if is_continued:
            above = indent_by_depth(above, run.depth)
        elif heading := self._heading(run):
            above += indent_by_depth([[("class:speaker", fit(heading, inner))]], max(run.depth - 1, 0))
        shown = [*above, *indent_by_depth(run.shown[2], run.depth)]
        return shown[-room:] if room else []

    def _status(self, width: int) -> list[Line]:
        now = time.monotonic()
        texts = [text for run in self._runs.values() for text in self._status_of(run, now)]
        if len(texts) > MAX_STATUS_LINES:
            texts = [*texts[: MAX_STATUS_LINES - 1], f"… and {len(texts) - MAX_STATUS_LINES + 1} more"]
        return [[("class:status", fit(text, width))] for text in texts]

    def _status_of(self, run: _Run, now: float) -> list[str]:
        """Return the status texts of a turn; one that only waits for delegates has none."""
        if run.calls:
            own = (call for call in run.calls.values() if (run.path, call[0].call_id) not in self._delegated)
            return [f"{run.name}: {started.name}… {now - since:.0f} s" for started, since in own]
        activity = "writing" if run.is_streaming else "thinking"
        return [f"{run.name} is {activity}… {now - run.since:.0f} s"]


def _inner(run: _Run, width: int) -> int:
    return width - len(BAR) * run.depth
