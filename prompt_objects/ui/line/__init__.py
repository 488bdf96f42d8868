"""The line interface, built with prompt_toolkit."""
