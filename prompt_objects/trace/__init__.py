"""What happened in a session: kept as it happens, and put together when somebody wants to see it.

What is kept is a file for each session, with events and without the contents of messages; those are in the session.
It may be missing, torn or deleted: a trace is made of messages alone then, with what is unknown left out.
"""
