"""Sessions: conversations that are saved after every message, named, listed and found.

`session` is one of them, `manager` finds and changes them, and `stores` keep them.
"""
