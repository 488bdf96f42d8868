"""Configuration files of an environment."""
