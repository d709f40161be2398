"""Traces: which one a prediction was made in, which one a label judges, which one a retraining was decided in.

A uuid takes the 32 digits of an id as they are, in 16 bytes. What is older has none.
"""

from alembic import op

revision = "0011"
down_revision = "0010"

_TABLES = ("predictions", "labels", "retrains")


def upgrade() -> None:
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} ADD COLUMN trace_id uuid")


def downgrade() -> None:
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} DROP COLUMN trace_id")
