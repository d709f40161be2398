"""Alerts: one open alert for each kind of trouble of a data set, what happened to each, and what of that was sent where."""

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
            times           bigint      NOT NULL DEFAULT 1,
            opened_at       timestamptz NOT NULL,
            updated_at      timestamptz NOT NULL,
            expires_at      timestamptz,
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
    op.execute("CREATE INDEX alerts_resolved_at ON alerts (resolved_at) WHERE resolved_at IS NOT NULL")
    # Written in the transaction of what it tells of: what is to be sent cannot be lost, nor be sent of what was undone
    op.execute(
        """
        CREATE TABLE alert_events (
            id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            alert_id bigint      NOT NULL REFERENCES alerts ON DELETE CASCADE,
            event    text        NOT NULL,
            at       timestamptz NOT NULL,
            severity text        NOT NULL,
            by       text        NOT NULL,
            text     text        NOT NULL
        )
        """
    )
    op.execute("CREATE INDEX alert_events_alert ON alert_events (alert_id, id)")
    op.execute("CREATE INDEX alert_events_at ON alert_events (at)")
    op.execute(
        """
        CREATE TABLE alert_deliveries (
            event_id   bigint      NOT NULL REFERENCES alert_events ON DELETE CASCADE,
            channel    text        NOT NULL,
            attempts   integer     NOT NULL DEFAULT 0,
            next_at    timestamptz NOT NULL,
            error      text,
            sent_at    timestamptz,
            gave_up_at timestamptz,
            PRIMARY KEY (event_id, channel)
        )
        """
    )
    op.execute("CREATE INDEX alert_deliveries_due ON alert_deliveries (next_at) WHERE sent_at IS NULL AND gave_up_at IS NULL")


def downgrade() -> None:
    for table in ("alert_deliveries", "alert_events", "alerts"):
        op.execute(f"DROP TABLE {table}")
