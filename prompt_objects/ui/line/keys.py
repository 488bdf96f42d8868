"""What the keys do, beyond what prompt_toolkit's Emacs and vi modes do by themselves."""

from collections.abc import Callable

from prompt_toolkit.application.current import get_app
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import Condition, emacs_mode, has_completions, has_focus, vi_navigation_mode
from prompt_toolkit.key_binding import KeyBindings, KeyBindingsBase, KeyPressEvent, merge_key_bindings
from prompt_toolkit.utils import suspend_to_background_supported

from prompt_objects.ui.line.actions import Actions
from prompt_objects.ui.line.dialogs import QuestionDialog

__all__ = [
    "make_bindings",
]

_TYPING = has_focus(DEFAULT_BUFFER)
_EMPTY = Condition(lambda: not get_app().current_buffer.text)


def make_bindings(actions: Actions, asking: QuestionDialog, edit: Callable[[], None]) -> KeyBindingsBase:
    """Bind the keys to what they do; `edit` opens the line in the person's editor."""
    return merge_key_bindings([_line_bindings(actions, edit), _action_bindings(actions, asking)])


def _line_bindings(actions: Actions, edit: Callable[[], None]) -> KeyBindings:
    """Bind the keys that work on the line."""
    bindings = KeyBindings()

    @bindings.add("enter", filter=_TYPING)
    def _enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state and buffer.complete_state.current_completion:
            buffer.complete_state = None  # it stands in the line already; Enter again sends
        elif buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            actions.enter()

    @bindings.add("escape", "enter", filter=_TYPING)
    @bindings.add("c-j", filter=_TYPING)
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @bindings.add("tab", filter=_TYPING)
    def _complete(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state:
            buffer.complete_next()
        else:
            buffer.start_completion(insert_common_part=True)

    @bindings.add("escape", filter=_TYPING & emacs_mode & has_completions)
    def _close_menu(event: KeyPressEvent) -> None:
        event.current_buffer.cancel_completion()

    @bindings.add("c-x", "c-e", filter=_TYPING & emacs_mode)
    @bindings.add("v", filter=_TYPING & vi_navigation_mode)
    def _edit(_event: KeyPressEvent) -> None:
        edit()

    return bindings


def _action_bindings(actions: Actions, asking: QuestionDialog) -> KeyBindings:
    """Bind the keys that work on the conversation and the program."""
    bindings = KeyBindings()

    @bindings.add("c-c", filter=_TYPING)
    @bindings.add("<sigint>")
    def _interrupt(_event: KeyPressEvent) -> None:
        actions.interrupt()

    @bindings.add("c-d", filter=_TYPING & _EMPTY)
    def _leave(_event: KeyPressEvent) -> None:
        actions.leave()

    @bindings.add("escape", filter=_TYPING & emacs_mode & Condition(lambda: asking.is_open))
    def _dismiss(_event: KeyPressEvent) -> None:
        asking.dismiss()

    @bindings.add("c-z", filter=Condition(suspend_to_background_supported))
    def _suspend(event: KeyPressEvent) -> None:
        event.app.suspend_to_background()

    return bindings
