"""Static checks of an environment."""
