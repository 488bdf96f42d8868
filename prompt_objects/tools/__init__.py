"""Tools: their type, their loading, and the approval of their calls."""
