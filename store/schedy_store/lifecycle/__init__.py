"""The life of a job in SQL: what reports and changes do to the store."""
