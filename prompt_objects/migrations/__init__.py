"""Bringing an environment that an older version made up to date, in steps; see docs/migrations.md.

`change` is what a step says, `steps` finds the steps, `progress` is what was done, `originals` keeps files as they
were,
`runner` carries it all out. `yaml_key` and `json_list` read what steps have to read; they are loaded by steps only.
"""
