"""Decisions about training again, and the records that are never trained on."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE retrains (
            id         text        PRIMARY KEY,
            dataset    text        NOT NULL,
            trigger    text        NOT NULL,
            state      text        NOT NULL,
            decided_at timestamptz NOT NULL,
            ended_at   timestamptz,
            digest     text,
            version    text,
            why        text        NOT NULL,
            detail     jsonb       NOT NULL DEFAULT '{}'
        )
        """
    )
    op.execute("CREATE INDEX retrains_dataset ON retrains (dataset, decided_at)")
    op.execute(
        """
        CREATE TABLE forgotten_records (
            message_id   text        COLLATE "C" NOT NULL,
            row          integer     NOT NULL,
            dataset      text        NOT NULL,
            forgotten_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            forgotten_by text        NOT NULL,
            PRIMARY KEY (message_id, row)
        )
        """
    )


def downgrade() -> None:
    for table in ("forgotten_records", "retrains"):
        op.execute(f"DROP TABLE {table}")
