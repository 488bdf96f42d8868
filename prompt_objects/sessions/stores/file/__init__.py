"""The file store: one JSON file for each session, an index, a trash."""
