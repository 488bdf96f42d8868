"""The graph of an environment: who may ask whom and use what, as its files say; nothing is run to know it."""
