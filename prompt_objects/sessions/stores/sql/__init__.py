"""Sessions in a database, SQLite or PostgreSQL, by SQLAlchemy Core: the same statements for both."""
