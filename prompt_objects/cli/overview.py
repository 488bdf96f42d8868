"""What `prompt-objects` says where there is neither a terminal nor a message."""

from argparse import Namespace

from prompt_objects.cli.opening import open_conversation, open_environment
from prompt_objects.errors import PromptObjectsError
from prompt_objects.ui.sanitize import clean_line
from prompt_objects.wording import count

__all__ = ["run"]


def run(options: Namespace) -> None:
    """Print the environment, its objects, sessions and model that would be opened, and how to send a message."""
    environment = open_environment(options)
    po, session = open_conversation(options, environment)
    try:
        connection = environment.connection(po.definition)
        model = f"{connection.llm.model}: {connection.origin}"
    except PromptObjectsError as error:
        model = f"none: {error}"
    sessions = environment.session_manager.list()
    rows = {
        "environment": str(environment.folder),
        "objects": ", ".join(environment.catalogue.names()),
        "sessions": count(len(sessions), "session"),
        "would open": f"{po.name}, session {session.name}, {count(session.message_count, 'message')}",
        "model": model,
    }
    for title, value in rows.items():
        print(f"{title:12} {clean_line(value)}")
    for fault in environment.catalogue.faults():
        print(f"{'faulty':12} {clean_line(str(fault))}")
    print("\nSend a message:   prompt-objects -p 'Hello'      or   echo Hello | prompt-objects")
    print("Chat:             run prompt-objects in a terminal")
