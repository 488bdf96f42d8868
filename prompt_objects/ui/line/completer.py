"""Completion of commands and their arguments."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from prompt_objects.chat.chat import Chat
from prompt_objects.chat.commands import Parameter, SlashCommand, all_commands
from prompt_objects.errors import PromptObjectsError, StoreError
from prompt_objects.sessions.info import SessionInfo
from prompt_objects.ui.render.sanitize import clean_line
from prompt_objects.ui.render.text import fit
from prompt_objects.utils.text import pluralize
from prompt_objects.utils.time import time_ago
from prompt_objects.utils.waiting import fail_fast

MAX_OFFERED = 200
"""Values that are offered together; one more letter narrows them down."""
META_WIDTH = 90


class CommandCompleter(Completer):
    """Offers commands and their arguments in lines that begin with /, and prompt objects after an @."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        typed = document.text_before_cursor
        if typed.startswith("@") and " " not in typed:
            for name, po in self._chat.environment.objects.items():
                if name.startswith(typed[1:]):
                    yield _completion(f"{name} ", typed[1:], f"@{name}", po.description)
        if not typed.startswith("/") or "\n" in typed:
            return
        typed = typed[1:]
        listed = all_commands().items()
        for name, command in listed if typed else sorted(listed, key=lambda each: not each[1].is_common):
            if name.startswith(typed):
                text = f"{name} " if command.parameters else name
                yield _completion(text, typed, f"/{name}", command.summary)
        yield from _aliases(typed)
        named = [name for name in all_commands() if typed.startswith(f"{name} ")]
        if named:
            name = max(named, key=len)  # `session new`, not `session`
            yield from self._arguments(all_commands()[name], typed[len(name) + 1 :], complete_event)

    def _arguments(self, command: SlashCommand, rest: str, event: CompleteEvent) -> Iterator[Completion]:
        rest = rest.lstrip()
        for parameter in command.parameters[:-1]:
            word, space, others = rest.partition(" ")
            if not space:
                yield from self._values(parameter, rest, event)
                return
            if word in parameter.choices or parameter.required:
                rest = others.lstrip()
        if command.parameters:
            yield from self._values(command.parameters[-1], rest, event)

    def _values(self, parameter: Parameter, typed: str, event: CompleteEvent) -> Iterator[Completion]:
        if parameter.kind == "path":
            yield from self._paths.get_completions(Document(typed), event)
            return
        begin = typed.casefold()
        matching = (each for each in self._candidates(parameter) if each[0].casefold().startswith(begin))
        for value, meta in islice(matching, MAX_OFFERED):
            yield _completion(value, typed, value, meta)

    def _candidates(self, parameter: Parameter) -> Iterator[tuple[str, str]]:
        environment = self._chat.environment
        match parameter.kind:
            case "choice":
                yield from ((choice, "") for choice in parameter.choices)
            case "session" | "trashed":
                for info in self._sessions(trashed=parameter.kind == "trashed"):
                    yield info.name, f"{pluralize(info.message_count, 'message')}, {time_ago(info.updated_at)}"
            case "object":
                yield from ((name, po.description) for name, po in environment.objects.items())
            case "command":
                yield from ((name, command.summary) for name, command in all_commands().items())
            case "model":
                with suppress(PromptObjectsError):  # an invalid definition
                    yield from environment.models.choices(self._chat.po.definition)
            case _:
                return

    def _sessions(self, *, trashed: bool) -> list[SessionInfo]:
        """Return the sessions; none if the store would have to wait."""
        with fail_fast(), suppress(StoreError):
            manager = self._chat.po.session_manager
            return [each.info for each in manager.trash()] if trashed else manager.list()
        return []


def _aliases(typed: str) -> Iterator[Completion]:
    """Yield the other words for commands, once a letter is typed."""
    for name, command in all_commands().items():
        for alias in command.aliases if typed else ():
            if alias.startswith(typed):
                yield _completion(alias, typed, f"/{alias}", f"the same as /{name}")


def _completion(text: str, typed: str, display: str, meta: str) -> Completion:
    return Completion(
        text, start_position=-len(typed), display=clean_line(display), display_meta=fit(meta, META_WIDTH)
    )
