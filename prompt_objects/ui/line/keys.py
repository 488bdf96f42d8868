"""Key bindings in addition to those of prompt_toolkit's Emacs and vi modes."""

from collections.abc import Callable

from prompt_toolkit.application.current import get_app
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import Condition, emacs_mode, has_completions, has_focus, vi_navigation_mode
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.utils import suspend_to_background_supported

from prompt_objects.ui.controller import Controller
from prompt_objects.ui.line.input_line import InputBuffer

_TYPING = has_focus(DEFAULT_BUFFER)
_AT_END = Condition(lambda: get_app().current_buffer.document.is_cursor_at_the_end)


def make_bindings(controller: Controller, buffer: InputBuffer, edit: Callable[[], object]) -> KeyBindings:
    """Make the key bindings; `edit` opens the input in the user's editor."""
    bindings = KeyBindings()
    _add_input_keys(bindings, controller, buffer, edit)
    _add_controller_keys(bindings, controller)
    return bindings


def _add_input_keys(
    bindings: KeyBindings, controller: Controller, buffer: InputBuffer, edit: Callable[[], object]
) -> None:
    @bindings.add("enter", filter=_TYPING)
    def _enter(_event: KeyPressEvent) -> None:
        if buffer.complete_state and buffer.complete_state.current_completion:
            buffer.complete_state = None  # it is in the input already; Enter again sends
        elif buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            controller.submit(buffer.whole_text)

    @bindings.add(Keys.BracketedPaste, filter=_TYPING)
    def _paste(event: KeyPressEvent) -> None:
        buffer.paste(event.data.replace("\r\n", "\n").replace("\r", "\n"))

    @bindings.add("escape", "enter", filter=_TYPING)
    @bindings.add("c-j", filter=_TYPING)
    def _new_line(_event: KeyPressEvent) -> None:
        buffer.insert_text("\n")

    @bindings.add("tab", filter=_TYPING)
    def _complete(_event: KeyPressEvent) -> None:
        if buffer.complete_state:
            buffer.complete_next()
        else:
            buffer.start_completion(insert_common_part=True)

    @bindings.add("escape", filter=_TYPING & emacs_mode & has_completions)
    def _close_menu(_event: KeyPressEvent) -> None:
        buffer.cancel_completion()

    @bindings.add("c-x", "c-e", filter=_TYPING & emacs_mode)
    @bindings.add("v", filter=_TYPING & vi_navigation_mode)
    def _edit(_event: KeyPressEvent) -> None:
        edit()


def _add_controller_keys(bindings: KeyBindings, controller: Controller) -> None:
    @bindings.add("c-c", filter=_TYPING)
    @bindings.add("<sigint>")
    def _interrupt(_event: KeyPressEvent) -> None:
        controller.interrupt()

    @bindings.add("c-d", filter=_TYPING & _AT_END)
    def _leave(_event: KeyPressEvent) -> None:
        controller.leave()

    @bindings.add("escape", filter=_TYPING & emacs_mode & Condition(lambda: controller.open_question is not None))
    def _dismiss(_event: KeyPressEvent) -> None:
        if question := controller.open_question:
            question.dismiss()

    @bindings.add("c-z", filter=Condition(suspend_to_background_supported))
    def _suspend(event: KeyPressEvent) -> None:
        event.app.suspend_to_background()
