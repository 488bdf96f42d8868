"""Migrations: numbered steps that bring an environment of an older version up to date; see docs/migrations.md.

`change` has the types that a step returns, `steps` finds the steps, `apply` applies one with a `backup`, `progress`
records them, and `runner` runs all. `yaml_list` and `json_list` are only loaded by steps.
"""
