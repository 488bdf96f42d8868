"""Reading and editing of YAML files that users write."""
