"""Tools: what they are, how they are loaded, and what guards their calls."""
