"""Data to styled lines, without side effects."""
