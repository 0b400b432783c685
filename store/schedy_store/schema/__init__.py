"""The database: engine, tables, records and migrations."""
