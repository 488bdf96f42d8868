"""Conversations: saved after every message, named, listed, found again.

`session` is one of them, `manager` is how a person gets at all of them, `stores` is where they live.
"""
