"""An index by which the predictions of a trace are found; docs/tracing.md has the query and what the index costs.

Partial: what was stored before there were traces pays nothing. Labels are found by their predictions; of retrainings there are few.
"""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute("CREATE INDEX predictions_trace_id ON predictions (trace_id) WHERE trace_id IS NOT NULL")


def downgrade() -> None:
    op.execute("DROP INDEX predictions_trace_id")
