"""The SQL store: sessions in SQLite or PostgreSQL, through the same SQLAlchemy Core statements."""
