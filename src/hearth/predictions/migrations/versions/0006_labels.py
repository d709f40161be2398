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
    op.execute("CREATE INDEX labels_record ON labels (message_id, row, id)")
    op.execute("CREATE INDEX labels_dataset_received_at ON labels (dataset, received_at)")


def downgrade() -> None:
    op.execute("DROP TABLE labels")
