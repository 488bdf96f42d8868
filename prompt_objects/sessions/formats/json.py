"""JSON: the stored document with all its keys, indented, and the frames of its requests."""

import json

from prompt_objects.sessions.info import header_of
from prompt_objects.sessions.session import Session
from prompt_objects.utils.time import timestamp

SUFFIX = ".json"


def export(session: Session) -> str:
    """Return the whole session; text that is not valid Unicode is written as escapes."""
    document = {
        **header_of(session.info, dict(session.metadata)),
        "history": list(session.history),
        "updated_at": timestamp(session.updated_at),
    }
    if frames := session.frames:
        document["frames"] = frames
    text = json.dumps(document, ensure_ascii=False, indent=2)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(document, indent=2)
    return text + "\n"
