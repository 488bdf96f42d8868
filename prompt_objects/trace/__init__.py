"""The events of a session: they are recorded to a file per session, and shown as a trace.

The file contains no message contents; these are in the session. If the file is missing or damaged, the trace is built
from the messages alone, and lacks everything that is not in them.
"""
