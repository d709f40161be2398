"""Alembic's scripts; `hearth.predictions.migration.migrate` runs them."""
