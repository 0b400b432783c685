"""Alembic's entry: runs migrations on the connection that `Store.migrate` hands over."""

from alembic import context

from schedy_store.schema.stored import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
