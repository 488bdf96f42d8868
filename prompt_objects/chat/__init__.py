"""Conversations without a user interface, and their slash commands."""
