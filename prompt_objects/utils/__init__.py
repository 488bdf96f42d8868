"""Helpers for text, time, concurrency, files and processes."""
