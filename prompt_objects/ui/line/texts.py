"""What the line interface says to the person in words of its own."""

__all__ = [
    "CLEAR_FIRST",
    "HOW_TO_LEAVE",
    "INTERRUPTED",
    "NOT_SENT",
    "STILL_ANSWERING",
    "STILL_BUSY",
    "STOPS_ALL",
    "TOO_EARLY",
]

STILL_ANSWERING = "still answering: Ctrl-C stops it"
STILL_BUSY = "still busy"
HOW_TO_LEAVE = "Ctrl-D leaves"
NOT_SENT = "Your last message was not sent; Up brings it back."
STOPS_ALL = "Ctrl-C again stops all"
TOO_EARLY = "The question has only just come up: look at it first."
INTERRUPTED = "Interrupted before it was answered: /continue goes on from there, /retry answers the message anew."
CLEAR_FIRST = "Your message is back in the line; Ctrl-C clears it for that."
