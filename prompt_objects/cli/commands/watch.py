"""`prompt-objects sessions watch`: looking on at a session from the shell, message by message."""

import json
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress

from prompt_objects.cli.json_output import change_fields
from prompt_objects.cli.streams import flush, print_err, print_out, put_json
from prompt_objects.cli.targets import find_session, open_environment
from prompt_objects.sessions.session import SessionChange, poll_forever
from prompt_objects.ui.render.events import WIDTH
from prompt_objects.ui.render.messages import draw_messages
from prompt_objects.ui.render.sanitize import clean
from prompt_objects.ui.render.style import plain

__all__ = [
    "run",
]


def run(options: Namespace) -> None:
    """Print the last messages of a session, then each as it comes; Ctrl-C is how it ends, and no failure."""
    with open_environment(options) as environment, suppress(KeyboardInterrupt):
        session = find_session(environment, options.object, options.key)
        show = _show_json if options.json else _shower(session.po_name)
        for change in poll_forever(session):
            show(change)
            flush()


def _show_json(change: SessionChange) -> None:
    for fields in change_fields(change):
        put_json(json.dumps(fields, ensure_ascii=False))


def _shower(po_name: str) -> Callable[[SessionChange], None]:
    def show(change: SessionChange) -> None:
        """Print the messages; who is at it is said beside, before or after what came of it."""
        if change.holder and change.is_new_holder:
            print_err(f"In use by {change.holder}.")
        if change.messages:
            print_out(clean(plain(draw_messages(po_name, change.messages, WIDTH))))
        if not change.holder and change.is_new_holder:
            flush()
            print_err("Free.")

    return show
