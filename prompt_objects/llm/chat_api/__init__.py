"""The client for servers with the Chat Completions API."""
