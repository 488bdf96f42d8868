"""The composition root: opens an environment and connects its parts."""
