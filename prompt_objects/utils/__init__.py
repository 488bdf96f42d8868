"""Helpers for text, time, concurrency and files."""
