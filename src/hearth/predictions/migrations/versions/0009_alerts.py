"""Alerts: one open alert for each kind of trouble of a data set, acknowledged and resolved by somebody or by itself."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE alerts (
            id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            kind            text        NOT NULL,
            dataset         text        NOT NULL,
            severity        text        NOT NULL,
            summary         text        NOT NULL,
            detail          jsonb       NOT NULL DEFAULT '{}',
            opened_at       timestamptz NOT NULL,
            updated_at      timestamptz NOT NULL,
            acknowledged_at timestamptz,
            acknowledged_by text,
            resolved_at     timestamptz,
            resolved_by     text,
            resolution      text
        )
        """
    )
    op.execute("CREATE UNIQUE INDEX alerts_open ON alerts (dataset, kind) WHERE resolved_at IS NULL")
    op.execute("CREATE INDEX alerts_opened_at ON alerts (opened_at)")


def downgrade() -> None:
    op.execute("DROP TABLE alerts")
