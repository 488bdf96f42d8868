"""The line, opened in the person's own editor."""

from collections.abc import Callable

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document

from prompt_objects.errors import PromptObjectsError
from prompt_objects.ui.screen import Screen

__all__ = ["edit"]


async def edit(buffer: Buffer, screen: Screen, complain: Callable[[str], None]) -> None:
    """Put into the line what the editor leaves; what is printed meanwhile waits until that is closed."""
    from prompt_objects.ui.editor import edited

    with screen.taken():
        try:
            text = await edited(buffer.text)
        except PromptObjectsError as error:
            complain(str(error))
        else:
            buffer.document = Document(text)
