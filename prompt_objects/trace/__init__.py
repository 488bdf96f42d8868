"""What happened in a session: events are recorded to a file per session, and shown as a trace.

The file holds no message contents; these are in the session. If the file is missing or damaged, the trace is built
from the messages alone, without what they do not tell.
"""
