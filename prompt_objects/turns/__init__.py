"""One turn: a message in, the loop of model requests and tool calls, a reply out."""
