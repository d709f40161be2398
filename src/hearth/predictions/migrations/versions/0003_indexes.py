"""Indexes for what REST and the monitor ask; docs/adr/0006-predictions-table.md has the queries and their times."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("DROP INDEX predictions_dataset_scored_at")
    op.execute("CREATE INDEX predictions_dataset_version_scored_at ON predictions (dataset, version, scored_at)")
    op.execute("CREATE INDEX predictions_alias_dataset_scored_at ON predictions (alias, dataset, scored_at)")
    # Partial: nearly all rows are the stream's and answers, and pay nothing
    op.execute("CREATE INDEX predictions_source_scored_at ON predictions (source, scored_at) WHERE source <> 'stream'")
    op.execute("CREATE INDEX predictions_challenger_scored_at ON predictions (dataset, scored_at) WHERE role = 'challenger'")


def downgrade() -> None:
    for name in ("dataset_version", "alias_dataset", "source", "challenger"):
        op.execute(f"DROP INDEX predictions_{name}_scored_at")
    op.execute("CREATE INDEX predictions_dataset_scored_at ON predictions (dataset, scored_at)")
