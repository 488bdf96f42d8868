"""The `Store` protocol and its implementations: files, memory, SQLite, PostgreSQL."""
