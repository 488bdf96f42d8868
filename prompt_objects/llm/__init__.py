"""The `LLM` protocol and the clients that implement it."""
