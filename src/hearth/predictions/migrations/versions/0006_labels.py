"""Labels: what the class of a served record turned out to be. A second, different label is kept beside the first; the newest counts."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE labels (
            id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            message_id  text        COLLATE "C" NOT NULL,
            row         integer     NOT NULL,
            dataset     text        NOT NULL,
            code        smallint    NOT NULL,
            label       text        NOT NULL,
            observed_at timestamptz NOT NULL,
            received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            reported_by text        NOT NULL,
            source      text        NOT NULL
        )
        """
    )
    # A delivery that is repeated writes nothing; the newest of a record is found by it, too
    op.execute("CREATE UNIQUE INDEX labels_observation ON labels (message_id, row, dataset, observed_at, code)")
    op.execute("CREATE INDEX labels_dataset_observed_at ON labels (dataset, observed_at)")
    op.execute("CREATE INDEX labels_received_at ON labels (received_at)")


def downgrade() -> None:
    op.execute("DROP TABLE labels")
