"""`prompt-objects sessions …`: list and manage the sessions of an environment."""
