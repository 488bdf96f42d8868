"""The examples of the documentation: found in its pages, run, and compared with the output that the page shows.

A comment before an example says how it is tested:

    <!-- setup: echo Hello > a.txt -->  commands that run before the example, one per line; not shown
    <!-- in use: Default -->            another process uses this session during the example
    <!-- file: objects/boss.yaml -->    the example is the content of this file, which is written
    <!-- chat -->                       the example is a chat in a terminal; `chat: NAME` starts it with an object
    <!-- exit: 1 -->                    the last command of the example ends with this exit code
    <!-- not run: REASON -->            the example is not tested
    <!-- new folder -->                 the example starts in an empty folder; a page starts in one, too
    <!-- environment -->                the example starts in a new environment with the starter objects
"""

import json
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from prompt_objects import Environment
from prompt_objects.sessions.stores.lease import ProcessInfo, take_lease
from tests.support.paths import ROOT
from tests.support.program import PROGRAM, run
from tests.support.terminal import Terminal

_PATIENCE = 40.0  # seconds; a busy machine is slow
_MOMENT = 0.5  # seconds; the rehearsal pauses some milliseconds between two words
_HOME = "/home/ann"  # the pages use it for the folder of a test
_BLOCK = re.compile(
    r"(?P<marks>(?:^<!-- (?:(?!-->).)*-->\n)*)^(?P<fence>`{3,})(?P<language>\w*)\n(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
_MARK = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"
_INPUT = re.compile(rf"^(?P<prompt>[\w-]+ {_MARK} |\[y/N\] |.*\? \[y/s/N/never/e\] )(?P<text>.+)$")
_VARYING = [
    (re.compile(r"^rehearsal: .*\n?", re.MULTILINE), ""),  # a notice that may appear at any moment
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}(-[0-9a-f]+)*\b"), "ID"),  # the beginning of one
    (re.compile(r"\b\d{8}T\d{12}Z\b"), "DATE"),  # in names of files
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d[:.]\d\d[:.]\d\d(\.\d+)?Z?"), "DATE"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "TIME"),
    (re.compile(r"process \d+ on [^ ,]+"), "PROCESS"),
    (re.compile(r"^  [0-9a-f]{8}(-[0-9a-f]+)* ", re.MULTILINE), "ID "),
    (re.compile(r"\b\d+(\.\d+)? (ms|s)\b"), "DURATION"),
    (re.compile(r"\d[\d,.]*k? (?=tokens in|out\b|B\b|kB\b|bytes\b|characters\b)"), "N "),
    (re.compile(r"(just now|\d+ (second|minute)s? ago)"), "AGE"),
    (re.compile(r"(?<=AGE) +\d+ +\d+"), " TOKENS"),
    (re.compile(r"[ \t]+"), " "),
]


@dataclass(frozen=True)
class Example:
    """One fenced block of a page."""

    page: str
    line: int
    language: str
    text: str
    marks: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str:
        """The file that the example shows: by its mark, or by a comment in its first line; empty for none."""
        named = re.match(r"# (\S+\.(?:ya?ml|py))\n", self.text)
        return self.marks.get("file", named[1] if named else "")


def pages() -> list[Path]:
    """Return the pages that have examples for users."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def examples(page: Path) -> list[Example]:
    """Return the examples of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for block in _BLOCK.finditer(text):
        marks = {
            mark.partition(":")[0].strip(): mark.partition(":")[2].strip()
            for mark in re.findall(r"<!-- (.*?)\s*-->", block["marks"], re.DOTALL)
        }
        line = text.count("\n", 0, block.start("text"))
        found.append(Example(str(page.relative_to(ROOT)), line, block["language"], block["text"], marks))
    return found


class Scenario:
    """The folder and the variables that the examples of one page share."""

    def __init__(self, folder: Path) -> None:
        self._top = folder
        self._count = 0
        self._terminal: Terminal | None = None
        self.environ = {"PROMPT_OBJECTS_MODEL": "rehearsal", "COLUMNS": "100"}
        self.new_folder()

    def new_folder(self) -> None:
        """Go to an empty folder."""
        self._count += 1
        self.home = self._top / str(self._count)
        self.home.mkdir()
        self.folder = self.home

    def new_environment(self) -> None:
        """Go to a new environment with the starter objects."""
        self.new_folder()
        self.run("prompt-objects init notes")
        self.folder = self.home / "notes"

    def write(self, name: str, text: str) -> None:
        """Write a file that a page shows."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def set_up(self, commands: str) -> None:
        """Run the commands of a `setup` comment, and ignore what they print."""
        for command in commands.splitlines():
            self.run(command)

    @contextmanager
    def in_use(self, name: str) -> Iterator[None]:
        """Let another process use a session for the length of a `with` block."""
        with Environment.open(self.folder) as environment:
            session = environment.session_manager.get(name)
            lease = take_lease(environment.storage.store, session.id, ProcessInfo.current("ann"))
            try:
                yield
            finally:
                lease.release()

    def run(self, line: str) -> tuple[int, str, str]:
        """Run a line of a shell; return the exit code, standard output and standard error."""
        code, output, errors = 0, "", ""
        line, _, target = line.partition(" > ")
        line, _, source = line.partition(" < ")
        if source:
            output = Path(source).read_text(encoding="utf-8")
        for part in re.split(r" \| ", line):
            words = shlex.split(part, comments=True)
            match words[0]:
                case "prompt-objects":
                    done = run(*words[1:], cwd=self.folder, stdin=output, **self.environ)
                    code, output, errors = done.returncode, done.stdout, errors + done.stderr
                case ".":
                    pass  # the installation is active already
                case "cd":
                    self.folder = (self.folder / words[1]).resolve()
                case "export":
                    name, _, value = words[1].partition("=")
                    self.environ[name] = value
                case "jq":
                    output = f"{json.loads(output)[words[2].removeprefix('.')]}\n"
                case _:
                    shell = subprocess.run(
                        ["bash", "-c", part],
                        cwd=self.folder,
                        input=output,
                        capture_output=True,
                        text=True,
                        check=False,
                    )
                    code, output = shell.returncode, shell.stdout
        if target:
            self.write(target, output)
            output = ""
        return code, output.replace(str(self.home), _HOME), errors.replace(str(self.home), _HOME)

    def chat(self, transcript: str, name: str = "") -> None:
        """Type the user's lines of a transcript into a chat, and wait for the expected output of each.

        The next transcript continues the chat, unless it names a prompt object or `end_chat` is called.
        """
        if name or not self._terminal:
            self.end_chat()
            command = [*PROGRAM, "chat", name] if name else PROGRAM
            self._terminal = Terminal(command, columns=100, rows=40, env=self.environ, cwd=str(self.folder))
            self._terminal.wait_for("rehearsal: ", _PATIENCE)  # a notice must not appear in between
        terminal = self._terminal
        for prompt, text, shown in _inputs(transcript):
            terminal.wait_until(lambda: _is_free(terminal, prompt), f"the prompt {prompt!r}", _PATIENCE)  # noqa: B023
            terminal.wait_until(_is_quiet(terminal), "the end of the reply", _PATIENCE)
            terminal.send(text)
            terminal.wait_for(f"{prompt} {text}", _PATIENCE)
            terminal.wait_until(lambda: _is_taken(terminal, f"{prompt} {text}"), f"{text!r} to be taken", _PATIENCE)  # noqa: B023
            terminal.wait_until(_shows(terminal, pattern_of(shown)), "\n".join(shown), _PATIENCE)

    def end_chat(self) -> None:
        """Leave the chat, if one is open."""
        if self._terminal:
            with self._terminal as terminal:
                terminal.wait_until(_is_quiet(terminal), "the end of the reply", _PATIENCE)
                terminal.press("ctrl-d")
                terminal.wait_for_exit(_PATIENCE)
            self._terminal = None


def _inputs(transcript: str) -> list[tuple[str, str, list[str]]]:
    """Return the user's inputs, each with its prompt and the expected output."""
    found: list[tuple[str, str, list[str]]] = []
    for line in transcript.splitlines():
        if typed := _INPUT.match(line):
            found.append((typed["prompt"].strip(), typed["text"], []))
        else:
            found[-1][2].append(line)
    return found


def _is_free(terminal: Terminal, prompt: str) -> bool:
    """Return whether the last line of the screen is an empty prompt."""
    lines = [line for line in terminal.lines() if line.strip()]
    return any(line.endswith(prompt) for line in lines[-3:])


def _is_quiet(terminal: Terminal) -> Callable[[], bool]:
    """Return a condition: the program has printed nothing for a moment, so a reply has ended."""
    printed, since = -1, 0.0

    def is_quiet() -> bool:
        nonlocal printed, since
        if len(terminal.raw) != printed:
            printed, since = len(terminal.raw), time.monotonic()
        return time.monotonic() - since > _MOMENT

    return is_quiet


def _is_taken(terminal: Terminal, line: str) -> bool:
    """Press Enter, which may also accept a completion; return whether the line has left the bottom of the screen."""
    terminal.press("enter")
    time.sleep(0.15)
    lines = [shown for shown in terminal.lines() if shown.strip()]
    return not any(shown.endswith(line) for shown in lines[-2:])


def _shows(terminal: Terminal, pattern: str) -> Callable[[], bool]:
    """Return a condition: the screen shows a pattern. It searches only a screen that has changed."""
    searched = -1

    def is_shown() -> bool:
        nonlocal searched
        if len(terminal.raw) == searched:
            return False
        searched = len(terminal.raw)
        return re.search(pattern, normalized(terminal.text())) is not None

    return is_shown


def steps(example: Example) -> Iterator[tuple[str, list[str]]]:
    """Yield the commands of a console example, each with the output that the page shows."""
    command, shown = "", list[str]()
    for line in example.text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, shown
            command, shown = line[2:], []
        elif line.startswith("> "):
            command += "\n" + line[2:]
        else:
            shown.append(line)
    if command:
        yield command, shown


def normalized(text: str) -> str:
    """Return a text without blank lines and without the parts that differ between runs."""
    for pattern, replacement in _VARYING:
        text = pattern.sub(replacement, text)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines() if line.strip())


def pattern_of(shown: list[str]) -> str:
    """Return the regular expression for output as a page shows it; `…` stands for lines or the end of a line."""
    parts = []
    for line in normalized("\n".join(shown)).splitlines():
        if line.strip(" │") == "…":
            parts.append(r"(?:.*\n)*?")
        elif line.endswith(" …"):
            parts.append(re.escape(line[:-2]) + r".*\n")
        else:
            parts.append(re.escape(line) + r"\n")
    return "".join(parts)
