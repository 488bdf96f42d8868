"""The rules of `prompt-objects check`."""
