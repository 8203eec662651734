"""Alembic's entry: runs on the connection that `gateway.db.database` hands over."""

from alembic import context

from gateway.db import tables

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=tables.jobs.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
