"""The screen: the only part that draws, and the only one that knows a terminal."""
