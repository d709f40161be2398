"""The table of predictions."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE predictions (
            message_id    text        NOT NULL,
            row           integer     NOT NULL,
            dataset       text        NOT NULL,
            alias         text        NOT NULL,
            version       text        NOT NULL,
            family        text        NOT NULL,
            code          smallint    NOT NULL,
            label         text        NOT NULL,
            probabilities double precision[] NOT NULL,
            record        jsonb       NOT NULL,
            enqueued_at   timestamptz,
            scored_at     timestamptz NOT NULL,
            PRIMARY KEY (message_id, row)
        )
        """
    )
    op.execute("CREATE INDEX predictions_scored_at ON predictions (scored_at)")
    op.execute("CREATE INDEX predictions_dataset_scored_at ON predictions (dataset, scored_at)")


def downgrade() -> None:
    op.execute("DROP TABLE predictions")
