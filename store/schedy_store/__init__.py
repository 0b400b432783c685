"""The store of Schedy: tables, life of a job, queries, and the results service that alone writes it."""
