"""Called by Alembic with the connection and the transaction that `migrate` has opened."""

from alembic import context

from hearth.predictions.migration import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
