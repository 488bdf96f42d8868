"""The built-in tools: every `Tool` in a module of this package is one, unless the name begins with `_`."""
